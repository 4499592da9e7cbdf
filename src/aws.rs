//! The shell on AWS: clients of the services, and the pipeline's ports on them.

pub mod dynamodb;
pub mod envelope;
pub mod lambda;
mod parts;
pub mod put;
pub mod settings;
pub mod shards;
pub mod sns;
pub mod sqs;

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sns::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::OnceCell;

/// How long a connection may take to come about. A service that does not answer within this is
/// away, and the time is better spent on the next attempt.
const CONNECT: Duration = Duration::from_secs(3);

/// The way to AWS. Nothing is read, and no connection and no client made, before the first of them
/// is asked for: a Lambda that has nothing to say starts without them.
#[derive(Debug)]
pub struct Aws {
    endpoint_url: Option<String>,
    /// How the configuration is found. What the other way would need is then not linked: signing
    /// on, profiles and the metadata of machines are a quarter of the function.
    load: fn(Option<String>) -> Loading,
    config: OnceCell<SdkConfig>,
}

type Loading = Pin<Box<dyn Future<Output = SdkConfig>>>;

impl Aws {
    /// AWS, or what answers at `endpoint_url` in its place, with credentials, region and endpoint
    /// as the SDK's environment says (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …).
    #[must_use]
    pub fn at(endpoint_url: Option<String>) -> Self {
        Self { endpoint_url, load: |url| Box::pin(load(url)), config: OnceCell::new() }
    }

    /// AWS as a function sees it: credentials and region stand in the environment.
    #[must_use]
    pub fn of_function() -> Self {
        let load = |_| -> Loading { Box::pin(std::future::ready(of_environment())) };
        Self { endpoint_url: None, load, config: OnceCell::new() }
    }

    /// The same way, for whoever has to hold it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::at(self.endpoint_url.clone())
    }

    /// What all clients share.
    pub async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| (self.load)(self.endpoint_url.clone())).await
    }

    /// A client of Kinesis.
    pub async fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(self.config().await)
    }

    /// A client of DynamoDB.
    pub async fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(self.config().await)
    }

    /// A client of SQS in `region`, or else in the one that the environment names.
    pub async fn sqs(&self, region: Option<&str>) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::config::Builder::from(self.config().await);
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        aws_sdk_sqs::Client::from_conf(config.build())
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

async fn load(endpoint_url: Option<String>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https())
        .timeout_config(timeouts());
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

fn of_environment() -> SdkConfig {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let is_set = |name: &str| variable(name).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(variable("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(https())
        .timeout_config(timeouts())
        .use_fips(is_set("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    config.build()
}

fn https() -> SharedHttpClient {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    Builder::new().tls_provider(provider).build_https()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).build()
}

/// Why a call failed, in words for whoever set it up: what the service says, or else the causes
/// from the outermost to the innermost, and what helps where that is known.
#[must_use]
pub fn why(error: &(impl ProvideErrorMetadata + Error)) -> String {
    if let Some(code) = error.code() {
        let message = error.message().unwrap_or("no more is said");
        return format!("{code}: {message}");
    }
    let mut causes: Vec<String> = Vec::new();
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(this) = cause {
        let words = this.to_string();
        if causes.last().is_none_or(|last| !last.contains(&words)) {
            causes.push(words);
        }
        cause = this.source();
    }
    let causes = causes.join(": ");
    // The SDK lists on further lines where it has looked.
    let causes = if causes.contains("no credentials found") {
        "no credentials were found"
    } else {
        causes.lines().next().unwrap_or_default()
    };
    match help(causes) {
        Some(help) => format!("{causes}: {help}"),
        None => causes.to_owned(),
    }
}

fn help(causes: &str) -> Option<&'static str> {
    let causes = causes.to_lowercase();
    let is_about = |word: &str| causes.contains(word);
    if is_about("region") {
        Some("set AWS_REGION, or a region in the profile that AWS_PROFILE names")
    } else if is_about("credentials") {
        Some("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    } else if is_about("connect") {
        Some("check --endpoint-url, AWS_ENDPOINT_URL and the network")
    } else {
        None
    }
}
