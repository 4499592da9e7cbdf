resource "aws_sqs_queue" "dead_letters" {
  name                              = "${var.name}-dead-letters"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = local.key_arn
  kms_data_key_reuse_period_seconds = 3600

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_dynamodb_table" "baselines" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = true
  hash_key                    = "key"

  attribute {
    name = "key"
    type = "S"
  }

  ttl {
    attribute_name = "expires"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key_arn
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "given_up" {
  #checkov:skip=CKV_AWS_18:what is given up lies there for 90 days, read by whoever redrives it; CloudTrail data events tell who if that is wanted
  #checkov:skip=CKV_AWS_144:it is a copy of what the trail keeps
  #checkov:skip=CKV2_AWS_62:an alarm rings for each delivery to it, and whoever sets a limit reads the bucket
  count         = local.gives_up ? 1 : 0
  bucket_prefix = "${var.name}-given-up-"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "given_up" {
  count  = local.gives_up ? 1 : 0
  bucket = aws_s3_bucket.given_up[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "given_up" {
  count                   = local.gives_up ? 1 : 0
  bucket                  = aws_s3_bucket.given_up[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "given_up" {
  count  = local.gives_up ? 1 : 0
  bucket = aws_s3_bucket.given_up[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "given_up" {
  count  = local.gives_up ? 1 : 0
  bucket = aws_s3_bucket.given_up[0].id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = 90
    }
    noncurrent_version_expiration {
      noncurrent_days = 7
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}
