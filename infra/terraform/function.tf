resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:the log tells how the function fares; alerts are kept by those who receive them, and evidence by the trail
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arn

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role" "function" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  name = "rolewatch"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadTheStream"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = local.stream_arn
      },
      {
        Sid      = "PublishAlerts"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = [for format in ["native", "text", "chat", "ocsf"] : local.topic_arns[format] if contains(keys(var.topics), format)]
      },
      {
        Sid      = "KeepDeadLetters"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letters.arn
      },
      {
        Sid      = "ShareBaselines"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:PutItem"]
        Resource = aws_dynamodb_table.baselines.arn
      },
      {
        Sid      = "WriteTheLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.function.arn}:*"
      },
      {
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = local.key_arn
        Condition = {
          StringEquals = {
            "kms:ViaService" = [
              for service in concat(["dynamodb", "kinesis"], local.gives_up ? ["s3"] : [], ["sns", "sqs"]) :
              "${service}.${local.region}.${local.dns_suffix}"
            ]
          }
        }
      },
      {
        Sid       = "UseTheKeyOfTheTable"
        Effect    = "Allow"
        Action    = ["kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource  = local.key_arn
        Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.region}.${local.dns_suffix}" } }
      },
      ], length(var.further_key_arns) == 0 ? [] : [
      {
        Sid      = "UseFurtherKeys"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.further_key_arns
        Condition = {
          StringEquals = {
            "kms:ViaService" = [for service in ["kinesis", "sns"] : "${service}.${local.region}.${local.dns_suffix}"]
          }
        }
      },
      ], local.gives_up ? [
      {
        Sid      = "KeepWhatIsGivenUp"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${aws_s3_bucket.given_up[0].arn}/*"
      },
      {
        Sid      = "FindTheBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.given_up[0].arn
      },
    ] : [])
  })
}

resource "aws_lambda_function" "rolewatch" {
  #checkov:skip=CKV_AWS_50:figures and the log say more of a batch than a trace would, at no price per call
  #checkov:skip=CKV_AWS_115:concurrency is bounded by shards times parallelization; a reservation could only starve other functions
  #checkov:skip=CKV_AWS_116:such a queue serves asynchronous calls; a stream is retried, and what cannot be judged goes to the queue for dead letters
  #checkov:skip=CKV_AWS_117:it speaks to AWS alone, and a network of its own would only add a way to fail
  #checkov:skip=CKV_AWS_173:the variables are names of resources and hold no secret
  #checkov:skip=CKV_AWS_272:signing is a matter of whoever builds the package
  function_name    = var.name
  description      = "Watches who puts on which IAM role"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  memory_size      = var.memory_size
  timeout          = var.timeout
  role             = aws_iam_role.function.arn

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  environment {
    variables = merge({
      ROLEWATCH_TOPICS                = join(",", [for format in ["native", "text", "chat", "ocsf"] : "${format}:${local.topic_arns[format]}" if contains(keys(var.topics), format)])
      ROLEWATCH_TABLE                 = aws_dynamodb_table.baselines.name
      ROLEWATCH_DEAD_LETTER_QUEUE_URL = aws_sqs_queue.dead_letters.url
      ROLEWATCH_LOG                   = var.log_level
    }, var.config_path == "" ? {} : { ROLEWATCH_CONFIG = var.config_path })
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn                   = local.stream_arn
  function_name                      = aws_lambda_function.rolewatch.function_name
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 1000
  parallelization_factor             = var.parallelization_factor
  maximum_batching_window_in_seconds = var.batch_window
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]
  maximum_record_age_in_seconds      = var.maximum_record_age
  maximum_retry_attempts             = var.maximum_retry_attempts

  # What the alarms about what is given up count.
  dynamic "metrics_config" {
    for_each = local.gives_up ? [["EventCount"]] : []
    content {
      metrics = metrics_config.value
    }
  }

  dynamic "destination_config" {
    for_each = local.gives_up ? [aws_s3_bucket.given_up[0].arn] : []
    content {
      on_failure {
        destination_arn = destination_config.value
      }
    }
  }
}
