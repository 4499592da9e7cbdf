# rolewatch for an organisation whose trail writes to a log group of this account:
#   terraform init && terraform apply -var trail_log_group_name=…

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "trail_log_group_name" {
  description = "Log group of this account and region that the organisation's trail writes to."
  type        = string
  default     = ""
}

variable "sender_account_id" {
  description = "Account whose log group feeds the stream instead, where this one is the security account."
  type        = string
  default     = ""
}

module "rolewatch" {
  source               = "../"
  package              = "${path.module}/../../package/bootstrap.zip"
  trail_log_group_name = var.trail_log_group_name
  sender_account_id    = var.sender_account_id
  topics               = { native = "create", text = "create" }
}

output "topic_arns" {
  description = "What people and tools subscribe to."
  value       = module.rolewatch.topic_arns
}

output "alarm_topic_arn" {
  description = "What whoever runs rolewatch subscribes to."
  value       = module.rolewatch.alarm_topic_arn
}

output "stream_arn" {
  description = "Stream that CloudTrail goes into."
  value       = module.rolewatch.stream_arn
}

output "destination_arn" {
  description = "What the log group of the other account subscribes."
  value       = module.rolewatch.destination_arn
}

output "filter_pattern" {
  description = "What its subscription lets through."
  value       = module.rolewatch.filter_pattern
}

output "dead_letter_queue_url" {
  description = "Records that could not be read, for redrive."
  value       = module.rolewatch.dead_letter_queue_url
}

output "table_name" {
  description = "Baselines, for baseline import."
  value       = module.rolewatch.table_name
}
