//! The Kafka protocol: one file per API, one list of all of them (`versions`), a codec of our own
//! for the hot path and one module (`wire`) through which the rest is decoded and encoded.

pub mod admin;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod api_versions;
pub mod client;
pub mod config_resource;
pub mod context;
pub mod create_partitions;
pub mod create_topics;
pub mod cursor;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_topic_partitions;
pub mod dispatch;
pub mod elect_leaders;
pub mod errors;
pub mod fetch;
pub mod fetch_codec;
pub mod find_coordinator;
pub mod header;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leader_hint;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod outgoing;
pub mod partition_questions;
pub mod produce;
pub mod produce_codec;
pub mod quota_entity;
pub mod sessions;
pub mod sync_group;
pub mod throttle;
pub mod versions;
pub mod wire;

#[cfg(test)]
mod codec_tests;
