//! A batch: the rows of consecutive messages of one partition.
//!
//! A batch is a pure function of its messages: the same messages give the same blocks, byte for byte,
//! in whichever process. Nothing here reads a clock or draws a random number.
//!
//! A message that cannot be decoded or makes no sense leaves no row and becomes a [`Reject`]; its
//! neighbours are untouched.

use patchline_schemas::codec::{Codec, DecodeError};
use patchline_schemas::topic::dead_letter::Class;
use patchline_schemas::validate::{Invalid, Validate, check_clock};
use patchline_schemas::{
    CustomLog, EnrichedRunProgress, EnrichedScan, EnrichedUpdate, Event, Heartbeat, OfficeActivity,
    Report, Scan, Timestamp, Topics, UpdateDeployment, UpdateState,
};

use crate::intent::Offset;
use crate::json;
use crate::tables::{
    ComputerScans, CustomRows, EventRows, HeartbeatRows, OfficeActivityRows, UpdateDeploymentRows,
    UpdateHistoryRows, UpdateRows, UpdateRunProgressRows, UpdateSummaryRows,
};

/// A message as Kafka gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp: when the report reached Patchline.
    pub timestamp: Timestamp,
    /// Its key: the computer.
    pub key: Option<Vec<u8>>,
    /// Its payload: the framed record.
    pub payload: Vec<u8>,
}

/// A message that no table takes, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Reject {
    /// The message, whole.
    pub message: Message,
    /// The reason in a word: the label it is counted under.
    pub class: &'static str,
    /// The reason for a human.
    pub text: String,
}

/// What a topic carries, and with it the tables it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Enriched scans: `update_rows`, `update_history_rows`, `update_summary_rows`, then `computer_scans`.
    Scans,
    /// Enriched run progress: `update_run_progress_rows`.
    RunProgress,
    /// Heartbeats: `heartbeat_rows`.
    Heartbeats,
    /// Logged events: `event_rows`.
    Events,
    /// Office 365 audit records: `office_activity_rows`.
    OfficeActivity,
    /// Records of custom logs: `custom_rows`.
    CustomLogs,
    /// Definitions of update deployments: `update_deployment_rows`.
    UpdateDeployments,
}

impl Source {
    /// The topics that the sink reads, with what they carry.
    #[must_use]
    pub fn topics(topics: &Topics) -> [(&str, Self); 7] {
        [
            (&topics.enriched_scans, Self::Scans),
            (&topics.enriched_run_progress, Self::RunProgress),
            (&topics.heartbeats, Self::Heartbeats),
            (&topics.events, Self::Events),
            (&topics.office_activity, Self::OfficeActivity),
            (&topics.custom_logs, Self::CustomLogs),
            (&topics.update_deployments, Self::UpdateDeployments),
        ]
    }
}

/// A finished block of one table.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The table.
    pub table: &'static str,
    /// Names of its columns, in the block's order.
    pub columns: &'static [(&'static str, &'static str)],
    /// Rows in it.
    pub rows: usize,
    /// Messages that have rows in it.
    pub messages: usize,
    /// The rows in Native format.
    pub data: bytes::Bytes,
    /// The table splits a block by time.
    pub is_split: bool,
}

impl Block {
    /// How many of the block's messages must be found in its table for the block to be there.
    ///
    /// A block that stays one part is there as a whole or not at all, and merges may since have
    /// replaced the rows of some messages by newer ones: one message is proof. Storing it again on a
    /// wrong suspicion would show its rows twice. A block that is split by time may be there in
    /// parts; those tables are read so that a row counts once, and suspicion costs nothing.
    #[must_use]
    pub fn least_stored_messages(&self) -> usize {
        if self.is_split { self.messages } else { self.messages.min(1) }
    }
}

/// The tables under construction.
#[derive(Debug)]
enum Rows {
    Scans(Box<ScanRows>),
    RunProgress(Box<UpdateRunProgressRows>),
    Heartbeats(Box<HeartbeatRows>),
    Events(Box<EventRows>),
    OfficeActivity(Box<OfficeActivityRows>),
    CustomLogs(Box<CustomRows>),
    UpdateDeployments(Box<UpdateDeploymentRows>),
}

#[derive(Debug, Default)]
struct ScanRows {
    updates: UpdateRows,
    /// Messages that have update rows: an up-to-date computer's scan has none.
    messages_with_updates: usize,
    history: UpdateHistoryRows,
    history_rows: usize,
    summaries: UpdateSummaryRows,
    computers: ComputerScans,
}

/// Rows of consecutive messages of one partition.
#[derive(Debug)]
pub struct Batch {
    partition: i32,
    rows: Rows,
    /// Messages with rows.
    messages: usize,
    update_rows: usize,
    rejects: Vec<Reject>,
    rejects_bytes: usize,
}

impl Batch {
    /// An empty batch of `partition`.
    #[must_use]
    pub fn new(source: Source, partition: i32) -> Self {
        let rows = match source {
            Source::Scans => Rows::Scans(Box::default()),
            Source::RunProgress => Rows::RunProgress(Box::default()),
            Source::Heartbeats => Rows::Heartbeats(Box::default()),
            Source::Events => Rows::Events(Box::default()),
            Source::OfficeActivity => Rows::OfficeActivity(Box::default()),
            Source::CustomLogs => Rows::CustomLogs(Box::default()),
            Source::UpdateDeployments => Rows::UpdateDeployments(Box::default()),
        };
        Self { partition, rows, messages: 0, update_rows: 0, rejects: Vec::new(), rejects_bytes: 0 }
    }

    /// Adds the message's rows, or keeps it as a reject.
    pub fn push(&mut self, codec: &Codec, message: Message) {
        let partition = self.partition;
        let pushed = match &mut self.rows {
            Rows::Scans(rows) => {
                rows.push(codec, partition, &message).map(|updates| self.update_rows += updates)
            }
            Rows::RunProgress(rows) => rows.push(codec, partition, &message),
            Rows::Heartbeats(rows) => rows.push(codec, partition, &message),
            Rows::Events(rows) => rows.push(codec, partition, &message),
            Rows::OfficeActivity(rows) => rows.push(codec, partition, &message),
            Rows::CustomLogs(rows) => rows.push(codec, partition, &message),
            Rows::UpdateDeployments(rows) => rows.push(codec, partition, &message),
        };
        match pushed {
            Ok(()) => self.messages += 1,
            Err(Unfit { class, text }) => {
                self.rejects_bytes += message.payload.len();
                self.rejects.push(Reject { message, class, text });
            }
        }
    }

    /// Rows of the largest table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.update_rows.max(self.messages)
    }

    /// Bytes of memory that the batch takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows = match &self.rows {
            Rows::Scans(rows) => {
                rows.updates.bytes()
                    + rows.history.bytes()
                    + rows.summaries.bytes()
                    + rows.computers.bytes()
            }
            Rows::RunProgress(rows) => rows.bytes(),
            Rows::Heartbeats(rows) => rows.bytes(),
            Rows::Events(rows) => rows.bytes(),
            Rows::OfficeActivity(rows) => rows.bytes(),
            Rows::CustomLogs(rows) => rows.bytes(),
            Rows::UpdateDeployments(rows) => rows.bytes(),
        };
        rows + self.rejects_bytes
    }

    /// When the first report with rows was made, by its own clock.
    #[must_use]
    pub fn first_generated(&self) -> Option<Timestamp> {
        let times = match &self.rows {
            Rows::Scans(rows) => &rows.summaries.time_generated,
            Rows::RunProgress(rows) => &rows.time_generated,
            Rows::Heartbeats(rows) => &rows.time_generated,
            Rows::Events(rows) => &rows.time_generated,
            Rows::OfficeActivity(rows) => &rows.time_generated,
            Rows::CustomLogs(rows) => &rows.time_generated,
            Rows::UpdateDeployments(rows) => &rows.time_generated,
        };
        times.first().map(Timestamp)
    }

    /// The messages that no table takes.
    #[must_use]
    pub fn rejects(&self) -> &[Reject] {
        &self.rejects
    }

    /// The block of each table that has rows, in waves: the blocks of one may be inserted side by side,
    /// the next wave only after them.
    #[must_use]
    pub fn waves(&self) -> Vec<Vec<Block>> {
        let mut waves: [Vec<Block>; 2] = Default::default();
        for block in self.blocks() {
            // What makes a scan visible comes last.
            let last = usize::from(block.table == "computer_scans");
            if let Some(wave) = waves.get_mut(last) {
                wave.push(block);
            }
        }
        waves.into_iter().filter(|wave| !wave.is_empty()).collect()
    }

    /// The block of each table that has rows.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let messages = self.messages;
        // A row a message, in a table that is split by month.
        let reports = |table, columns, data: Vec<u8>| {
            let data = data.into();
            vec![Block { table, columns, rows: messages, messages, data, is_split: true }]
        };
        let mut blocks = match &self.rows {
            Rows::Scans(rows) => {
                let ScanRows { updates, history, summaries, computers, .. } = &**rows;
                vec![
                    Block {
                        table: "update_rows",
                        columns: UpdateRows::COLUMNS,
                        rows: self.update_rows,
                        messages: rows.messages_with_updates,
                        data: updates.encode(self.update_rows).into(),
                        is_split: false,
                    },
                    Block {
                        table: "update_history_rows",
                        columns: UpdateHistoryRows::COLUMNS,
                        rows: rows.history_rows,
                        messages,
                        data: history.encode(rows.history_rows).into(),
                        is_split: true,
                    },
                    Block {
                        table: "update_summary_rows",
                        columns: UpdateSummaryRows::COLUMNS,
                        rows: messages,
                        messages,
                        data: summaries.encode(messages).into(),
                        is_split: true,
                    },
                    Block {
                        table: "computer_scans",
                        columns: ComputerScans::COLUMNS,
                        rows: messages,
                        messages,
                        data: computers.encode(messages).into(),
                        is_split: false,
                    },
                ]
            }
            Rows::RunProgress(rows) => {
                let columns = UpdateRunProgressRows::COLUMNS;
                reports("update_run_progress_rows", columns, rows.encode(messages))
            }
            Rows::Heartbeats(rows) => {
                reports("heartbeat_rows", HeartbeatRows::COLUMNS, rows.encode(messages))
            }
            Rows::Events(rows) => reports("event_rows", EventRows::COLUMNS, rows.encode(messages)),
            Rows::OfficeActivity(rows) => {
                let columns = OfficeActivityRows::COLUMNS;
                reports("office_activity_rows", columns, rows.encode(messages))
            }
            Rows::CustomLogs(rows) => {
                reports("custom_rows", CustomRows::COLUMNS, rows.encode(messages))
            }
            Rows::UpdateDeployments(rows) => vec![Block {
                table: "update_deployment_rows",
                columns: UpdateDeploymentRows::COLUMNS,
                rows: messages,
                messages,
                data: rows.encode(messages).into(),
                is_split: false,
            }],
        };
        blocks.retain(|block| block.rows > 0);
        blocks
    }
}

/// Why a message leaves no row.
struct Unfit {
    class: &'static str,
    text: String,
}

impl From<DecodeError> for Unfit {
    fn from(error: DecodeError) -> Self {
        Self { class: error.class().as_str(), text: error.to_string() }
    }
}

fn invalid(class: &'static str) -> impl FnOnce(Invalid) -> Unfit {
    move |error| Unfit { class, text: error.to_string() }
}

/// Orders the scans of one computer: by their own time, and where that is equal by arrival.
fn scan_version(time: Timestamp, offset: Offset) -> u128 {
    let time = u64::try_from(time.0).unwrap_or_default();
    let offset = u64::try_from(offset).unwrap_or_default();
    (u128::from(time) << 64) | u128::from(offset)
}

/// First day, counted from 1970, of the four weeks that `time` is in.
fn four_weeks(time: Timestamp) -> u16 {
    const DAYS: i64 = 28;
    let day = time.0.div_euclid(Timestamp::DAY_MS);
    u16::try_from(day - day.rem_euclid(DAYS)).unwrap_or(u16::MAX)
}

/// The share of a message's bytes that each of its `rows` counts for.
#[allow(clippy::cast_precision_loss, reason = "a message's size fits a float well")]
fn billed_size(message: &Message, rows: usize) -> f64 {
    message.payload.len() as f64 / rows.max(1) as f64
}

impl ScanRows {
    /// Returns how many update rows the scan has.
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<usize, Unfit> {
        let payload = codec.current(&message.payload)?;
        let EnrichedScan { scan, updates, summary, catalog_version } = codec.decode(&payload)?;
        scan.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&scan, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;

        let count = updates.len();
        let version = scan_version(scan.time_generated, message.offset);
        let time = scan.time_generated.0;
        let received = message.timestamp.0;
        let billed_size = billed_size(message, count + 1);

        let rows = &mut self.updates;
        for update in &updates {
            let (update, verdict) = (&update.update, &update.verdict);
            rows.update_id.push(&update.update_id);
            rows.product.push(&update.product);
            rows.product_arch.push(&update.product_arch);
            rows.product_version.push(&update.product_version);
            rows.update_state.push(update.update_state.column_value());
            rows.title.push(&update.title);
            rows.kbid.push(&update.kbid);
            rows.classification.push(&verdict.classification);
            rows.classification_source.push(&verdict.classification_source);
            rows.agent_classification.push(&update.classification);
            rows.agent_published_date.push(update.published_date.map(|date| date.0));
            rows.agent_reboot_behavior.push(&update.reboot_behavior);
            rows.advisory_ids.push(&verdict.advisory_ids);
            rows.msrc_severity.push(&verdict.msrc_severity);
            rows.msrc_bulletin_id.push(&verdict.msrc_bulletin_id);
            rows.bulletin_id.push(&verdict.bulletin_id);
            rows.bulletin_url.push(&verdict.bulletin_url);
            rows.cve_numbers.push(&verdict.cve_numbers);
            rows.package_severity.push(&verdict.package_severity);
            rows.superseded_by.push(&verdict.superseded_by);
            rows.published_date.push(verdict.published_date.map(|date| date.0));
            rows.reboot_behavior.push(&verdict.reboot_behavior);
            rows.revision_number.push(&update.revision_number);
            rows.package_repository.push(&update.package_repository);
            rows.optional.push(update.optional);
            rows.approved.push(update.approved);
            rows.approval_source.push(&update.approval_source);
        }
        rows.source_computer_id.push_n(&scan.source_computer_id, count);
        rows.computer.push_n(&scan.computer, count);
        rows.time_generated.push_n(time, count);
        rows.time_received.push_n(received, count);
        rows.catalog_version.push_n(&catalog_version, count);
        rows.os_type.push_n(&scan.os_type, count);
        rows.os_name.push_n(&scan.os_name, count);
        rows.os_version.push_n(&scan.os_version, count);
        rows.os_full_name.push_n(&scan.os_full_name, count);
        rows.management_group_name.push_n(&scan.management_group_name, count);
        rows.source_system.push_n(&scan.source_system, count);
        rows.computer_environment.push_n(&scan.computer_environment, count);
        rows.resource_id.push_n(&scan.resource_id, count);
        rows.vmuuid.push_n(&scan.vmuuid, count);
        rows.report_id.push_n(scan.report_id, count);
        rows.billed_size.push_n(billed_size, count);
        rows.scan_version.push_n(version, count);
        rows.source_partition.push_n(partition, count);
        rows.source_offset.push_n(message.offset, count);
        self.messages_with_updates += usize::from(count > 0);

        self.push_history(&scan, None, partition, message.offset);
        for update in updates.iter().filter(|at| at.update.update_state == UpdateState::Needed) {
            self.push_history(&scan, Some(update), partition, message.offset);
        }

        let rows = &mut self.summaries;
        rows.source_computer_id.push(&scan.source_computer_id);
        rows.time_generated.push(time);
        rows.report_id.push(scan.report_id);
        rows.computer.push(&scan.computer);
        rows.time_received.push(received);
        rows.os_type.push(&scan.os_type);
        rows.os_version.push(&scan.os_version);
        rows.critical_updates_missing.push(summary.critical_updates_missing);
        rows.security_updates_missing.push(summary.security_updates_missing);
        rows.other_updates_missing.push(summary.other_updates_missing);
        rows.total_updates_missing.push(summary.total_updates_missing);
        rows.oldest_missing_security_update_in_days
            .push(summary.oldest_missing_security_update_in_days);
        rows.oldest_missing_security_update_bucket
            .push(&summary.oldest_missing_security_update_bucket);
        rows.restart_pending.push(scan.restart_pending);
        rows.net_runtime_version.push(&scan.net_runtime_version);
        rows.windows_update_agent_version.push(&scan.windows_update_agent_version);
        rows.windows_update_setting.push(&scan.windows_update_setting);
        rows.wsus_server.push(&scan.wsus_server);
        rows.management_group_name.push(&scan.management_group_name);
        rows.source_system.push(&scan.source_system);
        rows.computer_environment.push(&scan.computer_environment);
        rows.resource_id.push(&scan.resource_id);
        rows.vmuuid.push(&scan.vmuuid);
        rows.catalog_version.push(&catalog_version);
        rows.billed_size.push(billed_size);
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);

        let rows = &mut self.computers;
        rows.source_computer_id.push(&scan.source_computer_id);
        rows.scan_version.push(version);
        rows.catalog_version.push(&catalog_version);
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);
        Ok(count)
    }

    /// That the scan found `update` needed; without one, that there was a scan.
    fn push_history(
        &mut self,
        scan: &Scan<'_>,
        update: Option<&EnrichedUpdate<'_>>,
        partition: i32,
        offset: Offset,
    ) {
        self.history_rows += 1;
        let rows = &mut self.history;
        rows.of_update.push(update.is_some());
        let none = EnrichedUpdate::default();
        let EnrichedUpdate { update, verdict } = update.unwrap_or(&none);
        rows.source_computer_id.push(&scan.source_computer_id);
        rows.update_id.push(&update.update_id);
        rows.product.push(&update.product);
        rows.product_arch.push(&update.product_arch);
        rows.product_version.push(&update.product_version);
        rows.four_weeks.push(four_weeks(scan.time_generated));
        rows.scans.push(&[scan.time_generated.0]);
        rows.first_scan.push(scan.time_generated.0);
        rows.last_scan.push(scan.time_generated.0);
        rows.source_partition.push(partition);
        rows.source_offset.push(offset);
        let newest = &mut rows.newest;
        newest.time_generated.push(scan.time_generated.0);
        newest.computer.push(&scan.computer);
        newest.os_type.push(&scan.os_type);
        newest.title.push(&update.title);
        newest.kbid.push(&update.kbid);
        newest.classification.push(&verdict.classification);
        newest.msrc_severity.push(&verdict.msrc_severity);
        newest.package_severity.push(&verdict.package_severity);
        newest.optional.push(update.optional);
        newest.approved.push(update.approved);
        newest.management_group_name.push(&scan.management_group_name);
        newest.source_system.push(&scan.source_system);
        newest.resource_id.push(&scan.resource_id);
    }
}

/// Pushes what the tables of one report a row have in common.
macro_rules! push_report {
    ($rows:ident, $report:expr, $partition:expr, $message:expr) => {
        $rows.source_computer_id.push($report.key());
        $rows.time_generated.push($report.time_generated.0);
        $rows.report_id.push($report.report_id);
        $rows.computer.push(&$report.computer);
        $rows.time_received.push($message.timestamp.0);
        $rows.os_type.push(&$report.os_type);
        $rows.management_group_name.push(&$report.management_group_name);
        $rows.source_system.push(&$report.source_system);
        $rows.computer_environment.push(&$report.computer_environment);
        $rows.resource_id.push(&$report.resource_id);
        $rows.vmuuid.push(&$report.vmuuid);
        $rows.billed_size.push(billed_size($message, 1));
        $rows.source_partition.push($partition);
        $rows.source_offset.push($message.offset);
    };
}

impl UpdateRunProgressRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let EnrichedRunProgress { report, product, kbid } = codec.decode(&payload)?;
        report.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&report, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        let rows = self;
        push_report!(rows, report, partition, message);
        rows.update_run_name.push(&report.update_run_name);
        rows.correlation_id.push(&report.correlation_id);
        rows.update_id.push(&report.update_id);
        rows.title.push(&report.title);
        rows.product.push(&product);
        rows.kbid.push(&kbid);
        rows.installation_status.push(&report.installation_status);
        rows.start_time.push(report.start_time.map(|time| time.0));
        rows.end_time.push(report.end_time.map(|time| time.0));
        rows.error_result.push(&report.error_result);
        rows.succeeded_on_retry.push(report.succeeded_on_retry);
        Ok(())
    }
}

impl HeartbeatRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let report: Heartbeat<'_> = codec.decode(&payload)?;
        report.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&report, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        let rows = self;
        push_report!(rows, report, partition, message);
        rows.os_name.push(&report.os_name);
        rows.os_major_version.push(&report.os_major_version);
        rows.os_minor_version.push(&report.os_minor_version);
        rows.category.push(&report.category);
        rows.sc_agent_channel.push(&report.sc_agent_channel);
        rows.version.push(&report.version);
        rows.computer_ip.push(&report.computer_ip);
        rows.computer_private_ips.push(&report.computer_private_ips);
        rows.is_gateway_installed.push(report.is_gateway_installed);
        rows.solutions.push(&report.solutions);
        rows.remote_ip_country.push(&report.remote_ip_country);
        rows.remote_ip_latitude.push(report.remote_ip_latitude);
        rows.remote_ip_longitude.push(report.remote_ip_longitude);
        Ok(())
    }
}

impl EventRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let report: Event<'_> = codec.decode(&payload)?;
        report.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&report, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        let rows = self;
        push_report!(rows, report, partition, message);
        rows.event_log.push(&report.event_log);
        rows.source.push(&report.source);
        rows.event_id.push(report.event_id);
        rows.event_category.push(report.event_category);
        rows.event_level.push(report.event_level);
        rows.event_level_name.push(&report.event_level_name);
        rows.user_name.push(&report.user_name);
        rows.message.push(&report.message);
        rows.parameter_xml.push(&report.parameter_xml);
        rows.event_data.push(&report.event_data);
        rows.rendered_description.push(&report.rendered_description);
        rows.azure_deployment_id.push(&report.azure_deployment_id);
        rows.role.push(&report.role);
        Ok(())
    }
}

/// Reads the JSON of `field`; what a `JSON` column would refuse is the message's fault.
fn json_field<T>(field: &str, read: Result<T, String>) -> Result<T, Unfit> {
    read.map_err(|problem| Unfit {
        class: Class::Invalid.as_str(),
        text: format!("{field}: {problem}"),
    })
}

impl OfficeActivityRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let record: OfficeActivity<'_> = codec.decode(&payload)?;
        record.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&record, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        let objects = |field, text| json_field(field, json::objects(text));
        let extra_properties = objects("ExtraProperties", &record.extra_properties)?;
        let members = objects("Members", &record.members)?;
        let operation_properties = objects("OperationProperties", &record.operation_properties)?;
        let sr_rule_match_details = objects("SRRuleMatchDetails", &record.sr_rule_match_details)?;
        let rows = self;
        rows.key.push(record.key());
        rows.time_generated.push(record.time_generated.0);
        rows.report_id.push(record.report_id);
        rows.time_received.push(message.timestamp.0);
        rows.tenant_id.push(&record.tenant_id);
        rows.source_system.push(&record.source_system);
        rows.resource_id.push(&record.resource_id);
        rows.aad_group_id.push(&record.aad_group_id);
        rows.aad_target.push(&record.aad_target);
        rows.activity.push(&record.activity);
        rows.actor.push(&record.actor);
        rows.actor_context_id.push(&record.actor_context_id);
        rows.actor_ip_address.push(&record.actor_ip_address);
        rows.add_on_guid.push(&record.add_on_guid);
        rows.addon_name.push(&record.addon_name);
        rows.add_on_type.push(&record.add_on_type);
        rows.affected_items.push(&record.affected_items);
        rows.app_distribution_mode.push(&record.app_distribution_mode);
        rows.app_id.push(&record.app_id);
        rows.application.push(&record.application);
        rows.application_id.push(&record.application_id);
        rows.app_pool_name.push(&record.app_pool_name);
        rows.azure_active_directory_event_type.push(&record.azure_active_directory_event_type);
        rows.azure_ad_app_id.push(&record.azure_ad_app_id);
        rows.channel_guid.push(&record.channel_guid);
        rows.channel_name.push(&record.channel_name);
        rows.channel_type.push(&record.channel_type);
        rows.chat_name.push(&record.chat_name);
        rows.chat_thread_id.push(&record.chat_thread_id);
        rows.client.push(&record.client);
        rows.client_ip_address.push(&record.client_ip_address);
        rows.client_app_id.push(&record.client_app_id);
        rows.client_info_string.push(&record.client_info_string);
        rows.client_ip.push(&record.client_ip);
        rows.client_machine_name.push(&record.client_machine_name);
        rows.client_process_name.push(&record.client_process_name);
        rows.client_version.push(&record.client_version);
        rows.communication_type.push(&record.communication_type);
        rows.cross_mailbox_operations.push(record.cross_mailbox_operations);
        rows.custom_event.push(&record.custom_event);
        rows.data_center_security_event_type.push(record.data_center_security_event_type);
        rows.dest_folder.push(&record.dest_folder);
        rows.destination_file_extension.push(&record.destination_file_extension);
        rows.destination_file_name.push(&record.destination_file_name);
        rows.destination_relative_url.push(&record.destination_relative_url);
        rows.dest_mailbox_id.push(&record.dest_mailbox_id);
        rows.dest_mailbox_owner_master_account_sid
            .push(&record.dest_mailbox_owner_master_account_sid);
        rows.dest_mailbox_owner_sid.push(&record.dest_mailbox_owner_sid);
        rows.dest_mailbox_owner_upn.push(&record.dest_mailbox_owner_upn);
        rows.effective_organization.push(&record.effective_organization);
        rows.elevation_approved_time.push(record.elevation_approved_time.map(|time| time.0));
        rows.elevation_approver.push(&record.elevation_approver);
        rows.elevation_duration.push(record.elevation_duration);
        rows.elevation_request_id.push(&record.elevation_request_id);
        rows.elevation_role.push(&record.elevation_role);
        rows.elevation_time.push(record.elevation_time.map(|time| time.0));
        rows.event_data.push(&record.event_data);
        rows.event_source.push(&record.event_source);
        rows.extended_properties.push(&record.extended_properties);
        rows.external_access.push(&record.external_access);
        rows.extra_properties.push(&extra_properties);
        rows.folder.push(&record.folder);
        rows.folders.push(&record.folders);
        rows.generic_info.push(&record.generic_info);
        rows.internal_logon_type.push(record.internal_logon_type);
        rows.inter_systems_id.push(&record.inter_systems_id);
        rows.intra_system_id.push(&record.intra_system_id);
        rows.is_managed_device.push(record.is_managed_device);
        rows.item.push(&record.item);
        rows.item_name.push(&record.item_name);
        rows.item_type.push(&record.item_type);
        rows.login_status.push(record.login_status);
        rows.logon_type.push(&record.logon_type);
        rows.logon_user_display_name.push(&record.logon_user_display_name);
        rows.logon_user_sid.push(&record.logon_user_sid);
        rows.machine_domain_info.push(&record.machine_domain_info);
        rows.machine_id.push(&record.machine_id);
        rows.mailbox_guid.push(&record.mailbox_guid);
        rows.mailbox_owner_master_account_sid.push(&record.mailbox_owner_master_account_sid);
        rows.mailbox_owner_sid.push(&record.mailbox_owner_sid);
        rows.mailbox_owner_upn.push(&record.mailbox_owner_upn);
        rows.members.push(&members);
        rows.message_id.push(&record.message_id);
        rows.modified_object_resolved_name.push(&record.modified_object_resolved_name);
        rows.modified_properties.push(&record.modified_properties);
        rows.name.push(&record.name);
        rows.new_value.push(&record.new_value);
        rows.office_id.push(&record.office_id);
        rows.office_object_id.push(&record.office_object_id);
        rows.office_tenant_id.push(&record.office_tenant_id);
        rows.office_workload.push(&record.office_workload);
        rows.old_value.push(&record.old_value);
        rows.operation.push(&record.operation);
        rows.operation_properties.push(&operation_properties);
        rows.operation_scope.push(&record.operation_scope);
        rows.organization_id.push(&record.organization_id);
        rows.organization_name.push(&record.organization_name);
        rows.originating_server.push(&record.originating_server);
        rows.parameters.push(&record.parameters);
        rows.record_type.push(&record.record_type);
        rows.result_reason_type.push(&record.result_reason_type);
        rows.result_status.push(&record.result_status);
        rows.send_as_user_mailbox_guid.push(&record.send_as_user_mailbox_guid);
        rows.send_as_user_smtp.push(&record.send_as_user_smtp);
        rows.sendon_behalf_of_user_mailbox_guid.push(&record.sendon_behalf_of_user_mailbox_guid);
        rows.send_on_behalf_of_user_smtp.push(&record.send_on_behalf_of_user_smtp);
        rows.sharing_type.push(&record.sharing_type);
        rows.site.push(&record.site);
        rows.site_url.push(&record.site_url);
        rows.source_name.push(&record.source_name);
        rows.source_file_extension.push(&record.source_file_extension);
        rows.source_file_name.push(&record.source_file_name);
        rows.source_record_id.push(&record.source_record_id);
        rows.source_relative_url.push(&record.source_relative_url);
        rows.sr_policy_id.push(&record.sr_policy_id);
        rows.sr_policy_name.push(&record.sr_policy_name);
        rows.sr_rule_match_details.push(&sr_rule_match_details);
        rows.start_time.push(record.start_time.map(|time| time.0));
        rows.support_ticket_id.push(&record.support_ticket_id);
        rows.tab_type.push(&record.tab_type);
        rows.target_context_id.push(&record.target_context_id);
        rows.target_user_id.push(&record.target_user_id);
        rows.target_user_or_group_name.push(&record.target_user_or_group_name);
        rows.target_user_or_group_type.push(&record.target_user_or_group_type);
        rows.team_guid.push(&record.team_guid);
        rows.team_name.push(&record.team_name);
        rows.user_agent.push(&record.user_agent);
        rows.user_domain.push(&record.user_domain);
        rows.user_id.push(&record.user_id);
        rows.user_key.push(&record.user_key);
        rows.user_shared_with.push(&record.user_shared_with);
        rows.user_type.push(&record.user_type);
        rows.billed_size.push(billed_size(message, 1));
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);
        Ok(())
    }
}

impl CustomRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let log: CustomLog<'_> = codec.decode(&payload)?;
        log.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&log, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        json_field("Record", json::check_object(&log.record))?;
        let rows = self;
        rows.workspace_id.push(&log.workspace_id);
        rows.log_type.push(&log.log_type);
        rows.time_generated.push(log.time_generated.0);
        rows.report_id.push(log.report_id);
        rows.time_received.push(message.timestamp.0);
        rows.record.push(&log.record);
        rows.resource_id.push(&log.resource_id);
        rows.billed_size.push(billed_size(message, 1));
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);
        Ok(())
    }
}

impl UpdateDeploymentRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let definition: UpdateDeployment<'_> = codec.decode(&payload)?;
        definition.check().map_err(invalid(Class::Invalid.as_str()))?;
        check_clock(&definition, message.timestamp).map_err(invalid(Class::Clock.as_str()))?;
        let starts: Vec<i64> = definition.starts.iter().map(|start| start.0).collect();
        let rows = self;
        rows.name.push(&definition.name);
        rows.time_generated.push(definition.time_generated.0);
        rows.report_id.push(definition.report_id);
        rows.time_received.push(message.timestamp.0);
        rows.schedule.push(definition.schedule.column_value());
        rows.time_zone.push(&definition.time_zone);
        rows.local_start_time.push(&definition.start_time);
        rows.local_expiry_time.push(&definition.expiry_time);
        rows.interval.push(definition.interval);
        rows.weekdays.push(&definition.weekdays);
        rows.month_days.push(&definition.month_days);
        rows.duration.push(definition.duration_minutes);
        rows.os_type.push(&definition.os_type);
        rows.computers.push(&definition.computers);
        rows.computer_groups.push(&definition.computer_groups);
        rows.classifications.push(&definition.classifications);
        rows.exclusions.push(&definition.exclusions);
        rows.management_group_name.push(&definition.management_group_name);
        rows.deleted.push(definition.deleted);
        rows.starts.push(&starts);
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::{EnrichedUpdate, Scan, Update};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn scan(codec: &Codec, number: u64, updates: u64) -> Vec<u8> {
        let update = |at: u64| EnrichedUpdate {
            update: Update { product: format!("p{}", at % 7).into(), ..Update::default() },
            ..EnrichedUpdate::default()
        };
        let scan = EnrichedScan {
            scan: Scan {
                report_id: Uuid::from_u64_pair(1, number),
                source_computer_id: format!("c{}", number % 3).into(),
                computer: "web-1".into(),
                time_generated: Timestamp(1_500_000_000_000),
                os_type: "Linux".into(),
                ..Scan::default()
            },
            updates: (0..updates).map(update).collect(),
            ..EnrichedScan::default()
        };
        let mut payload = Vec::new();
        codec.encode(&scan, &mut payload).unwrap();
        payload
    }

    /// A good scan with some updates, or any bytes.
    fn payloads() -> impl Strategy<Value = Vec<Result<u64, Vec<u8>>>> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..40);
        let payload = prop_oneof![(0..20_u64).prop_map(Ok), bytes.prop_map(Err)];
        proptest::collection::vec(payload, 0..12)
    }

    proptest! {
        /// A replay must give the same bytes, and a bad message must not touch its neighbours.
        #[test]
        fn a_batch_is_a_function_of_its_messages(payloads in payloads()) {
            let codec = Codec::new().unwrap();
            let batch = || {
                let mut batch = Batch::new(Source::Scans, 3);
                for (offset, payload) in payloads.iter().enumerate() {
                    let payload = match payload {
                        Ok(updates) => scan(&codec, offset as u64, *updates),
                        Err(bytes) => bytes.clone(),
                    };
                    let timestamp = Timestamp(1_500_000_000_000);
                    let offset = Offset::try_from(offset).unwrap();
                    batch.push(&codec, Message { offset, timestamp, key: None, payload });
                }
                batch
            };
            let (first, second) = (batch(), batch());
            prop_assert_eq!(first.blocks(), second.blocks());
            prop_assert_eq!(first.rejects(), second.rejects());

            let good: Vec<u64> = payloads.iter().flatten().copied().collect();
            prop_assert_eq!(first.rejects().len(), payloads.len() - good.len());
            let rows = |table: &str| {
                first.blocks().iter().find(|block| block.table == table).map_or(0, |block| block.rows)
            };
            prop_assert_eq!(rows("update_rows") as u64, good.iter().sum::<u64>());
            prop_assert_eq!(rows("update_summary_rows"), good.len());
            prop_assert_eq!(rows("computer_scans"), good.len());
        }
    }
}
