resource "aws_kinesis_stream" "events" {
  count            = local.creates_stream ? 1 : 0
  name             = var.name
  retention_period = 168
  shard_count      = var.stream_mode == "PROVISIONED" ? var.shard_count : null
  encryption_type  = "KMS"
  kms_key_id       = local.key_arn

  stream_mode_details {
    stream_mode = var.stream_mode
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role" "feed" {
  count = local.subscribes || local.has_sender ? 1 : 0
  name  = "${var.name}-feed"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringLike = {
          "aws:SourceArn" = concat(
            ["arn:${local.partition}:logs:${local.region}:${local.account}:*"],
            local.has_sender ? ["arn:${local.partition}:logs:${local.region}:${var.sender_account_id}:*"] : [],
          )
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "feed" {
  count = local.subscribes || local.has_sender ? 1 : 0
  name  = "feed"
  role  = aws_iam_role.feed[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "WriteToTheStream"
        Effect   = "Allow"
        Action   = "kinesis:PutRecord"
        Resource = local.stream_arn
      },
      {
        Sid       = "UseTheKey"
        Effect    = "Allow"
        Action    = "kms:GenerateDataKey"
        Resource  = local.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "kinesis.${local.region}.${local.dns_suffix}" } }
      },
      ], length(var.further_key_arns) == 0 ? [] : [
      {
        Sid       = "UseFurtherKeys"
        Effect    = "Allow"
        Action    = "kms:GenerateDataKey"
        Resource  = var.further_key_arns
        Condition = { StringEquals = { "kms:ViaService" = "kinesis.${local.region}.${local.dns_suffix}" } }
      },
    ])
  })
}

resource "aws_cloudwatch_log_subscription_filter" "trail" {
  count           = local.subscribes ? 1 : 0
  name            = var.name
  log_group_name  = var.trail_log_group_name
  filter_pattern  = var.feed == "filtered" ? local.filter_pattern : ""
  destination_arn = local.stream_arn
  role_arn        = aws_iam_role.feed[0].arn
  # One log stream's events stay in order on one shard.
  distribution = "ByLogStream"
  depends_on   = [aws_iam_role_policy.feed]
}

resource "aws_cloudwatch_log_destination" "sender" {
  count      = local.has_sender ? 1 : 0
  name       = var.name
  target_arn = local.stream_arn
  role_arn   = aws_iam_role.feed[0].arn
  depends_on = [aws_iam_role_policy.feed]
}

resource "aws_cloudwatch_log_destination_policy" "sender" {
  count            = local.has_sender ? 1 : 0
  destination_name = aws_cloudwatch_log_destination.sender[0].name
  access_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.sender_account_id }
      Action    = "logs:PutSubscriptionFilter"
      Resource  = aws_cloudwatch_log_destination.sender[0].arn
    }]
  })
}

locals {
  filter_pattern = "{ ${join(" || ", [for source, names in local.read : "($.eventSource = \"${source}\" && ${length(names) == 1 ? "" : "("}${join(" || ", [for name in names : "$.eventName = \"${name}\""])}${length(names) == 1 ? "" : ")"})"])} }"

  read = {
    "iam.amazonaws.com"    = ["CreateRole", "DeleteRole", "UpdateAssumeRolePolicy"]
    "signin.amazonaws.com" = ["ConsoleLogin", "SwitchRole"]
    "sso.amazonaws.com"    = ["GetRoleCredentials"]
    "sts.amazonaws.com"    = ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetFederationToken", "GetSessionToken"]
  }
}
