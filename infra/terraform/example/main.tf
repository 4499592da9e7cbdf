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
  description = "Log group that the organisation's trail writes to."
  type        = string
}

module "rolewatch" {
  source               = "../"
  package              = "${path.module}/../../package/bootstrap.zip"
  trail_log_group_name = var.trail_log_group_name
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

output "table_name" {
  description = "Baselines, for baseline import."
  value       = module.rolewatch.table_name
}
