variable "name" {
  description = "Name of the function, and of everything that belongs to it."
  type        = string
  default     = "rolewatch"
}

variable "package" {
  description = "The zip that was built: infra/package/bootstrap.zip."
  type        = string
}

variable "trail_log_group_name" {
  description = "Log group that the organisation's trail writes to, in this account and region. Empty where another account's log group feeds the stream (sender_account_id), or something else does."
  type        = string
  default     = ""
}

variable "feed" {
  description = "filtered lets through only the events that rolewatch reads; everything lets through all of CloudTrail, which costs more and raises no further alert."
  type        = string
  default     = "filtered"
  validation {
    condition     = contains(["filtered", "everything"], var.feed)
    error_message = "feed has to be filtered or everything."
  }
}

variable "sender_account_id" {
  description = "Account whose log groups may feed the stream: the management account, where this module lives in another one. Makes a CloudWatch Logs destination. Empty for none."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([0-9]{12})?$", var.sender_account_id))
    error_message = "sender_account_id has to be twelve digits."
  }
}

variable "existing_stream_arn" {
  description = "Kinesis stream to read instead of a new one."
  type        = string
  default     = ""
}

variable "stream_mode" {
  description = "PROVISIONED or ON_DEMAND."
  type        = string
  default     = "PROVISIONED"
  validation {
    condition     = contains(["PROVISIONED", "ON_DEMAND"], var.stream_mode)
    error_message = "stream_mode has to be PROVISIONED or ON_DEMAND."
  }
}

variable "shard_count" {
  description = "Shards of a provisioned stream. One takes 1 MB or 1,000 records a second. Kinesis at most doubles or halves them at once."
  type        = number
  default     = 1
}

variable "existing_key_arn" {
  description = "KMS key to encrypt with instead of a new one. Its policy has to allow what the policy in key.tf allows."
  type        = string
  default     = ""
}

variable "further_key_arns" {
  description = "Other KMS keys that an existing stream or existing topics are encrypted with. The function and CloudWatch Logs may then use them too."
  type        = list(string)
  default     = []
}

variable "topics" {
  description = "For each format (native, text, chat, ocsf): create, or the ARN of a topic that exists. Formats that are left out get nothing."
  type        = map(string)
  default     = { native = "create" }
  validation {
    condition     = length(var.topics) > 0 && alltrue([for format, topic in var.topics : contains(["native", "text", "chat", "ocsf"], format) && can(regex("^(create|arn:[a-z-]+:sns:.+)$", topic))])
    error_message = "topics needs at least one of native, text, chat and ocsf, each create or the ARN of a topic."
  }
}

variable "existing_alarm_topic_arn" {
  description = "Topic for alarms about rolewatch itself instead of a new one."
  type        = string
  default     = ""
}

variable "config_path" {
  description = "Name of the expectations file in the package. Empty for none."
  type        = string
  default     = "rolewatch.toml"
}

variable "architecture" {
  description = "arm64 or x86_64: what the package was built for."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture has to be arm64 or x86_64."
  }
}

variable "memory_size" {
  description = "MB. Also what bounds how much is remembered; processor time grows with it."
  type        = number
  default     = 512
}

variable "timeout" {
  description = "Seconds for one batch. A topic that throttles is waited for within it."
  type        = number
  default     = 60
}

variable "batch_window" {
  description = "Seconds that a batch is collected for."
  type        = number
  default     = 1
}

variable "parallelization_factor" {
  description = "Batches of one shard that are judged at once, each by an environment of its own."
  type        = number
  default     = 1
}

variable "maximum_record_age" {
  description = "Seconds of age from which on records are given up unjudged, whether they failed or only waited, 60 to 604800; -1 for never, which is what keeps every alert. Any other value makes a bucket for what is given up. A backlog longer than this is gone before it is read."
  type        = number
  default     = -1

  validation {
    condition     = var.maximum_record_age == -1 || (var.maximum_record_age >= 60 && var.maximum_record_age <= 604800)
    error_message = "Lambda takes -1, or 60 to 604800 seconds."
  }
}

variable "maximum_retry_attempts" {
  description = "Attempts after which a record is given up; -1 for never, likewise."
  type        = number
  default     = -1
}

variable "silence_periods" {
  description = "Periods of five minutes without a record after which the alarm about silence rings: 12 are an hour, 288 a day."
  type        = number
  default     = 12

  validation {
    condition     = var.silence_periods >= 1 && var.silence_periods <= 288
    error_message = "CloudWatch looks back a day at most: 1 to 288 periods of five minutes."
  }
}

variable "log_level" {
  description = "Filter of the function's log."
  type        = string
  default     = "info"
}

variable "log_retention_days" {
  description = "Days that the function's log is kept."
  type        = number
  default     = 90
}
