//! What the gateway is told of the configuration.

use http::{HeaderName, HeaderValue};
use jiff::tz::TimeZone;
use steward_gateway::{ArtifactOptions, Options, TranscodeOptions, VolumeMessages, VolumeOptions};

use crate::config::{AbsentSuccess, Config, ListShape, Messages, PathStyle, Port, Transcode, Volumes};

/// What bodies that are read whole may have together at most, and at least.
const MOST_WHOLE_BODY_BYTES: u64 = 256 << 20;
const LEAST_WHOLE_BODY_BYTES: u64 = 16 << 20;

/// As the gateway takes them.
pub(super) fn gateway_options(config: &Config, user_header: Option<HeaderName>) -> Options {
    Options {
        absent_success: match config.gateway.absent_success {
            AbsentSuccess::Failure => steward_gateway::AbsentSuccess::Failure,
            AbsentSuccess::Infer => steward_gateway::AbsentSuccess::Infer,
        },
        max_upload_bytes: config.restic.max_object_bytes,
        body_idle_timeout: config.gateway.body_idle_timeout,
        whole_body_bytes: whole_body_bytes(config.limits.memory),
        compress_lists: config.gateway.compress_lists,
        user_header,
        transcode: transcode_options(&config.transcode),
        volumes: volume_options(&config.volumes),
        artifacts: artifact_options(config),
    }
}

/// A part of the memory that requests may have, however little that is: a few manifests at a time always pass.
fn whole_body_bytes(memory: u64) -> u64 {
    if memory == 0 { MOST_WHOLE_BODY_BYTES } else { (memory / 4).clamp(LEAST_WHOLE_BODY_BYTES, MOST_WHOLE_BODY_BYTES) }
}

fn artifact_options(config: &Config) -> ArtifactOptions {
    ArtifactOptions {
        // The configuration was checked.
        time_zone: config.replication.zone().unwrap_or(TimeZone::UTC),
        max_blob_bytes: config.artifacts.max_blob_bytes,
        is_secure: config.tls.clients_of(Port::Http).is_some(),
    }
}

fn volume_options(config: &Volumes) -> VolumeOptions {
    VolumeOptions {
        rollback: config.rollback,
        messages: match config.messages {
            Messages::Seed => VolumeMessages::Seed,
            Messages::Upstream => VolumeMessages::Upstream,
        },
        ..VolumeOptions::default()
    }
}

fn transcode_options(config: &Transcode) -> TranscodeOptions {
    TranscodeOptions {
        list_shape: match config.list_shape {
            ListShape::Array => steward_gateway::ListShape::Array,
            ListShape::Object => steward_gateway::ListShape::Object,
        },
        path_style: match config.path_style {
            PathStyle::Slash => steward_gateway::PathStyle::Slash,
            PathStyle::Backslash => steward_gateway::PathStyle::Backslash,
        },
        // The configuration was checked.
        cors_origin: HeaderValue::from_str(&config.cors_origin).ok().filter(|origin| !origin.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::PortTls;

    #[test]
    fn clients_are_sent_to_https_where_the_http_port_speaks_it() {
        let is_secure = |http| {
            let mut config = Config::default();
            config.tls.cert = Some("cert.pem".into());
            config.tls.ports.http = http;
            gateway_options(&config, None).artifacts.is_secure
        };
        assert!(is_secure(None) && is_secure(Some(PortTls::Required)));
        assert!(!is_secure(Some(PortTls::Plain)));
        assert!(!gateway_options(&Config::default(), None).artifacts.is_secure);
    }

    #[test]
    fn settings_of_uploads_and_lists_reach_the_gateway() {
        let mut config = Config::default();
        config.replication.time_zone = "UTC".to_owned();
        assert_eq!(gateway_options(&config, None), Options::default());
        config.restic.max_object_bytes = 1 << 40;
        config.limits.memory = 100 << 20;
        config.gateway.body_idle_timeout = Duration::from_secs(7);
        config.gateway.compress_lists = true;
        let options = gateway_options(&config, None);
        assert_eq!((options.max_upload_bytes, options.compress_lists), (1 << 40, true));
        assert_eq!(options.body_idle_timeout, Duration::from_secs(7));
        assert_eq!(options.whole_body_bytes, 25 << 20);
        assert_eq!((whole_body_bytes(0), whole_body_bytes(1)), (256 << 20, 16 << 20));
    }
}
