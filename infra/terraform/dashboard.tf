locals {
  # Each widget: title, seconds that a point stands for, and its metrics.
  widgets = [
    {
      title = "Alerts", period = 3600, stat = "Sum", stacked = true
      metrics = [for name in ["AlertsCritical", "AlertsHigh", "AlertsMedium", "AlertsLow", "Repeats"] :
      ["rolewatch", name, "FunctionName", var.name]]
    },
    {
      title = "From event to alert, and behind the stream", period = 300, stat = "Maximum", stacked = false
      metrics = [
        ["rolewatch", "AlertLag", "FunctionName", var.name, { stat = "p50" }],
        ["rolewatch", "AlertLag", "FunctionName", var.name, { stat = "p99" }],
        ["AWS/Lambda", "IteratorAge", "FunctionName", var.name],
      ]
    },
    {
      title = "Records", period = 300, stat = "Sum", stacked = false
      metrics = [
        ["rolewatch", "Records", "FunctionName", var.name],
        ["rolewatch", "Assumptions", "FunctionName", var.name],
        ["AWS/Kinesis", "IncomingRecords", "StreamName", local.stream_name],
      ]
    },
    {
      title = "What went wrong", period = 300, stat = "Sum", stacked = false
      metrics = concat(
        [for name in ["Undecodable", "PublishFailures", "Evicted", "TableThrottled"] : ["rolewatch", name, "FunctionName", var.name]],
        [for name in ["Errors", "Throttles"] : ["AWS/Lambda", name, "FunctionName", var.name]],
      )
    },
  ]
}

resource "aws_cloudwatch_dashboard" "rolewatch" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for at, widget in local.widgets : {
      type   = "metric"
      x      = at % 2 * 12
      y      = floor(at / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        region  = local.region
        stat    = widget.stat
        period  = widget.period
        view    = "timeSeries"
        stacked = widget.stacked
        metrics = widget.metrics
      }
    }]
  })
}
