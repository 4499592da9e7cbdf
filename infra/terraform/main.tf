data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  region     = data.aws_region.current.region

  creates_key    = var.existing_key_arn == ""
  creates_stream = var.existing_stream_arn == ""
  subscribes     = var.trail_log_group_name != ""
  has_sender     = var.sender_account_id != ""
  gives_up       = var.maximum_record_age != -1 || var.maximum_retry_attempts != -1

  key_arn     = local.creates_key ? aws_kms_key.encryption[0].arn : var.existing_key_arn
  stream_arn  = local.creates_stream ? aws_kinesis_stream.events[0].arn : var.existing_stream_arn
  stream_name = local.creates_stream ? aws_kinesis_stream.events[0].name : element(split("/", var.existing_stream_arn), 1)
  topic_arns  = { for format, topic in var.topics : format => topic == "create" ? aws_sns_topic.alerts[format].arn : topic }
}
