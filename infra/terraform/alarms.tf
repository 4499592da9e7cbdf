locals {
  alarms = merge({
    falls-behind = {
      description = "Alerts are late. The oldest record waits for more than five minutes."
      namespace   = "AWS/Lambda", metric = "IteratorAge", statistic = "Maximum"
      dimensions  = { FunctionName = aws_lambda_function.rolewatch.function_name }
      period      = 300, evaluation_periods = 1, threshold = 300000
    }
    errors = {
      description = "The function failed as a whole. Its log says why."
      namespace   = "AWS/Lambda", metric = "Errors", statistic = "Sum"
      dimensions  = { FunctionName = aws_lambda_function.rolewatch.function_name }
      period      = 60, evaluation_periods = 1, threshold = 0
    }
    dead-letters = {
      description = "Records could not be read and wait in the queue. rolewatch redrive puts them back."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
      period      = 300, evaluation_periods = 1, threshold = 0
    }
    publish-failures = {
      description = "Alerts are not accepted by a topic and are tried again. The log names the topic."
      namespace   = "rolewatch", metric = "PublishFailures", statistic = "Sum"
      dimensions  = { FunctionName = aws_lambda_function.rolewatch.function_name }
      period      = 300, evaluation_periods = 1, threshold = 0
    }
    write-throttling = {
      description = "Writes to the stream are refused. It needs more shards."
      namespace   = "AWS/Kinesis", metric = "WriteProvisionedThroughputExceeded", statistic = "Sum"
      dimensions  = { StreamName = local.stream_name }
      period      = 300, evaluation_periods = 3, threshold = 0
    }
    }, local.gives_up ? {
    given-up = {
      description = "Records were given up unjudged. They lie in the bucket for what is given up."
      namespace   = "AWS/Lambda", metric = "OnFailureDestinationDeliveredEventCount", statistic = "Sum"
      dimensions  = { EventSourceMappingUUID = aws_lambda_event_source_mapping.stream.uuid }
      period      = 60, evaluation_periods = 1, threshold = 0
    }
    lost = {
      description = "Records were given up unjudged, and the bucket does not hold them."
      # Not counted in it: what was delivered to the bucket.
      namespace  = "AWS/Lambda", metric = "DroppedEventCount", statistic = "Sum"
      dimensions = { EventSourceMappingUUID = aws_lambda_event_source_mapping.stream.uuid }
      period     = 60, evaluation_periods = 1, threshold = 0
    }
  } : {})

  delivery_alarms = local.subscribes ? {
    delivery-errors = {
      description = "CloudWatch Logs cannot write to the stream, and skips what comes meanwhile."
      metric      = "DeliveryErrors", period = 60, evaluation_periods = 1
    }
    delivery-throttling = {
      description = "The stream takes less than the log group sends. It needs more shards."
      metric      = "DeliveryThrottling", period = 300, evaluation_periods = 3
    }
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "alarms" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "delivery" {
  for_each          = local.delivery_alarms
  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description

  # By a query, which needs no dimension that says what kind of destination it is.
  metric_query {
    id          = "failed"
    expression  = "SELECT SUM(${each.value.metric}) FROM \"AWS/Logs\" WHERE LogGroupName = '${var.trail_log_group_name}' AND FilterName = '${var.name}'"
    period      = each.value.period
    return_data = true
  }

  evaluation_periods  = each.value.evaluation_periods
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "silence" {
  alarm_name          = "${var.name}-silence"
  alarm_description   = "No record for long. The trail, the subscription or the stream stands still."
  namespace           = "rolewatch"
  metric_name         = "Records"
  dimensions          = { FunctionName = aws_lambda_function.rolewatch.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = var.silence_periods
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
}
