//! The shell on AWS: clients of the services, and the pipeline's ports on them.

pub mod envelope;
pub mod lambda;
pub mod put;
pub mod settings;
pub mod shards;
pub mod sns;
pub mod sqs;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::OnceCell;

/// How long a connection may take to come about. A service that does not answer within this is
/// away, and the time is better spent on the next attempt.
const CONNECT: Duration = Duration::from_secs(3);

/// The way to AWS: credentials, region and endpoint as the SDK's environment says
/// (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …). Nothing is read, and no connection and
/// no client made, before the first of them is asked for: a Lambda that has nothing to say starts
/// without them.
#[derive(Debug, Default)]
pub struct Aws {
    endpoint_url: Option<String>,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// AWS, or what answers at `endpoint_url` in its place.
    #[must_use]
    pub fn at(endpoint_url: Option<String>) -> Self {
        Self { endpoint_url, config: OnceCell::new() }
    }

    /// What all clients share.
    pub async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| Box::pin(load(self.endpoint_url.as_deref()))).await
    }

    /// A client of Kinesis.
    pub async fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(self.config().await)
    }

    /// A client of SQS.
    pub async fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(self.config().await)
    }

    /// A client of SNS in `region`, or else in the one that the environment names: a topic takes
    /// messages only in its own.
    pub async fn sns(&self, region: Option<&str>) -> aws_sdk_sns::Client {
        let mut config = aws_sdk_sns::config::Builder::from(self.config().await);
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        aws_sdk_sns::Client::from_conf(config.build())
    }
}

async fn load(endpoint_url: Option<&str>) -> SdkConfig {
    let https = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let timeouts = aws_config::timeout::TimeoutConfig::builder().connect_timeout(CONNECT).build();
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(https).timeout_config(timeouts);
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}
