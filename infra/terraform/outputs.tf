output "stream_arn" {
  description = "Stream that CloudTrail goes into."
  value       = local.stream_arn
}

output "filter_pattern" {
  description = "What the subscription lets through."
  value       = local.filter_pattern
}

output "destination_arn" {
  description = "What the log group of the other account subscribes; null without one."
  value       = one(aws_cloudwatch_log_destination.sender[*].arn)
}

output "topic_arns" {
  description = "Topics for alerts, by format."
  value       = local.topic_arns
}

output "alarm_topic_arn" {
  description = "Alarms about rolewatch itself."
  value       = local.alarm_topic_arn
}

output "dead_letter_queue_url" {
  description = "Records that could not be read."
  value       = aws_sqs_queue.dead_letters.url
}

output "table_name" {
  description = "Baselines."
  value       = aws_dynamodb_table.baselines.name
}

output "key_arn" {
  description = "Key that encrypts all of it."
  value       = local.key_arn
}
