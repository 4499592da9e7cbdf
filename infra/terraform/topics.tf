resource "aws_sns_topic" "alerts" {
  for_each          = toset([for format, topic in var.topics : format if topic == "create"])
  name              = "${var.name}-${each.key}"
  display_name      = "rolewatch"
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic" "alarms" {
  count             = var.existing_alarm_topic_arn == "" ? 1 : 0
  name              = "${var.name}-alarms"
  display_name      = "rolewatch alarms"
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.existing_alarm_topic_arn == "" ? 1 : 0
  arn   = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

locals {
  alarm_topic_arn = var.existing_alarm_topic_arn == "" ? aws_sns_topic.alarms[0].arn : var.existing_alarm_topic_arn
}
