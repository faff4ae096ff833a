//! A batch: the rows of consecutive messages of one partition.
//!
//! A batch is a pure function of its messages: the same messages give the same blocks, byte for byte,
//! in whichever process. Nothing here reads a clock or draws a random number.
//!
//! A message that cannot be decoded or makes no sense leaves no row and becomes a [`Reject`]; its
//! neighbours are untouched.

use patchline_schemas::codec::{Codec, DecodeError};
use patchline_schemas::validate::{Invalid, Validate, check_clock};
use patchline_schemas::{EnrichedRunProgress, EnrichedScan, Heartbeat, Report, Timestamp, Topics};

use crate::intent::Offset;
use crate::tables::{
    ComputerScans, HeartbeatRows, UpdateRows, UpdateRunProgressRows, UpdateSummaryRows,
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
    /// Enriched scans: `update_rows`, `update_summary_rows`, then `computer_scans`.
    Scans,
    /// Enriched run progress: `update_run_progress_rows`.
    RunProgress,
    /// Heartbeats: `heartbeat_rows`.
    Heartbeats,
}

impl Source {
    /// The topics that the sink reads, with what they carry.
    #[must_use]
    pub fn topics(topics: &Topics) -> [(&str, Self); 3] {
        [
            (&topics.enriched_scans, Self::Scans),
            (&topics.enriched_run_progress, Self::RunProgress),
            (&topics.heartbeats, Self::Heartbeats),
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
    /// The table splits a block by month.
    pub by_month: bool,
}

impl Block {
    /// How many of the block's messages must be found in its table for the block to be there.
    ///
    /// A block that stays one part is there as a whole or not at all, and merges may since have
    /// replaced the rows of some messages by newer ones: one message is proof. Storing it again on a
    /// wrong suspicion would show its rows twice. A block that is split by month may be there in
    /// parts; those tables are read with `FINAL`, so suspicion costs nothing.
    #[must_use]
    pub fn least_stored_messages(&self) -> usize {
        if self.by_month { self.messages } else { self.messages.min(1) }
    }
}

/// The tables under construction.
#[derive(Debug)]
enum Rows {
    Scans(Box<ScanRows>),
    RunProgress(Box<UpdateRunProgressRows>),
    Heartbeats(Box<HeartbeatRows>),
}

#[derive(Debug, Default)]
struct ScanRows {
    updates: UpdateRows,
    /// Messages that have update rows: an up-to-date computer's scan has none.
    messages_with_updates: usize,
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
                rows.updates.bytes() + rows.summaries.bytes() + rows.computers.bytes()
            }
            Rows::RunProgress(rows) => rows.bytes(),
            Rows::Heartbeats(rows) => rows.bytes(),
        };
        rows + self.rejects_bytes
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
        let mut blocks = match &self.rows {
            Rows::Scans(rows) => {
                let ScanRows { updates, messages_with_updates, summaries, computers } = &**rows;
                vec![
                    Block {
                        table: "update_rows",
                        columns: UpdateRows::COLUMNS,
                        rows: self.update_rows,
                        messages: *messages_with_updates,
                        data: updates.encode(self.update_rows).into(),
                        by_month: false,
                    },
                    Block {
                        table: "update_summary_rows",
                        columns: UpdateSummaryRows::COLUMNS,
                        rows: messages,
                        messages,
                        data: summaries.encode(messages).into(),
                        by_month: true,
                    },
                    Block {
                        table: "computer_scans",
                        columns: ComputerScans::COLUMNS,
                        rows: messages,
                        messages,
                        data: computers.encode(messages).into(),
                        by_month: false,
                    },
                ]
            }
            Rows::RunProgress(rows) => vec![Block {
                table: "update_run_progress_rows",
                columns: UpdateRunProgressRows::COLUMNS,
                rows: messages,
                messages,
                data: rows.encode(messages).into(),
                by_month: true,
            }],
            Rows::Heartbeats(rows) => vec![Block {
                table: "heartbeat_rows",
                columns: HeartbeatRows::COLUMNS,
                rows: messages,
                messages,
                data: rows.encode(messages).into(),
                by_month: true,
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
        Self { class: error.class(), text: error.to_string() }
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

impl ScanRows {
    /// Returns how many update rows the scan has.
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<usize, Unfit> {
        let payload = codec.current(&message.payload)?;
        let EnrichedScan { scan, updates, summary, catalog_version } = codec.decode(&payload)?;
        scan.check().map_err(invalid("invalid"))?;
        check_clock(&scan, message.timestamp).map_err(invalid("clock"))?;

        let count = updates.len();
        let version = scan_version(scan.time_generated, message.offset);
        let time = scan.time_generated.0;
        let received = message.timestamp.0;

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
            rows.advisory_ids.push(&verdict.advisory_ids);
            rows.msrc_severity.push(&verdict.msrc_severity);
            rows.msrc_bulletin_id.push(&verdict.msrc_bulletin_id);
            rows.bulletin_id.push(&verdict.bulletin_id);
            rows.bulletin_url.push(&verdict.bulletin_url);
            rows.cve_numbers.push(&verdict.cve_numbers);
            rows.package_severity.push(&verdict.package_severity);
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
        rows.scan_version.push_n(version, count);
        rows.source_partition.push_n(partition, count);
        rows.source_offset.push_n(message.offset, count);
        self.messages_with_updates += usize::from(count > 0);

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
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);

        let rows = &mut self.computers;
        rows.source_computer_id.push(&scan.source_computer_id);
        rows.scan_version.push(version);
        rows.source_partition.push(partition);
        rows.source_offset.push(message.offset);
        Ok(count)
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
        $rows.source_partition.push($partition);
        $rows.source_offset.push($message.offset);
    };
}

impl UpdateRunProgressRows {
    fn push(&mut self, codec: &Codec, partition: i32, message: &Message) -> Result<(), Unfit> {
        let payload = codec.current(&message.payload)?;
        let EnrichedRunProgress { report, product, kbid } = codec.decode(&payload)?;
        report.check().map_err(invalid("invalid"))?;
        check_clock(&report, message.timestamp).map_err(invalid("clock"))?;
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
        report.check().map_err(invalid("invalid"))?;
        check_clock(&report, message.timestamp).map_err(invalid("clock"))?;
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
