//! From a parsed report to a checked and encoded one. What the sender left out and the gateway
//! knows is filled in here, for every wire alike.

use std::borrow::Cow;
use std::collections::HashMap;

use patchline_schemas::{
    Codec, CustomLog, Event, Heartbeat, Invalid, OfficeActivity, Record, RunProgress, Scan,
    UpdateDeployment, Validate, deployment,
};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use super::guard::Sender;
use super::memory::Reservation;
use super::problem::{Problem, Reason};
use crate::Message;

/// Namespace of the ids of reports that came without one. The name is the record's name (the
/// `DataType` on the agents' wires, the `Log-Type` on the collector's), a line feed, and the item's exact
/// bytes: a resend is the same report. Never change it, or a resend across an upgrade is stored twice.
pub const REPORT_NAMESPACE: Uuid = Uuid::from_u128(0x9d1c_5c0e_7a3b_5f1e_8a52_6c1f_0d2b_4e77);

/// Memory that a message takes beside its payload: its key, its place in the batch and its report id's in
/// two.
const MESSAGE_OVERHEAD_BYTES: usize = 192;

/// What the gateway knows of a request's sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Who it is, and what it may report.
    pub(super) sender: &'a Sender,
    pub(super) workspace_id: &'a str,
    pub(super) management_group: &'a str,
    /// `x-ms-AzureResourceId`, else empty.
    pub(super) resource_id: &'a str,
    pub(super) solutions: &'a str,
    pub(super) computer_ip: &'a str,
    /// `x-ms-agent-id`, where the request has it.
    pub(super) agent_id: Option<&'a str>,
}

/// A report as it comes in.
pub(super) trait Incoming<'a>: Record + Validate {
    /// Fills in what the sender left out. `id` makes a report id.
    ///
    /// # Errors
    /// What is to be filled in follows from fields that make no sense.
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid>;

    /// Id and name of the computer that it is of; none where it is of no computer.
    fn computer(&self) -> Option<(&str, &str)> {
        None
    }

    /// Updates that it lists.
    fn updates(&self) -> usize {
        0
    }
}

/// Fills in what all computers' reports have in common.
macro_rules! complete {
    ($report:ident, $origin:ident, $id:ident) => {
        if $report.report_id.is_nil() {
            $report.report_id = $id();
        }
        if $origin.sender.group().is_some() {
            // Whatever the computer says of it: the group is proven.
            $report.management_group_name = Cow::Borrowed($origin.management_group);
        }
        fill(&mut $report.management_group_name, $origin.management_group);
        fill(
            &mut $report.source_system,
            if $report.os_type == "Windows" { "OpsManager" } else { "Linux" },
        );
        fill(&mut $report.computer_environment, "Non-Azure");
        fill(&mut $report.resource_id, $origin.resource_id);
    };
}

impl<'a> Incoming<'a> for Scan<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        complete!(self, origin, id);
        Ok(())
    }

    fn updates(&self) -> usize {
        self.updates.len()
    }

    fn computer(&self) -> Option<(&str, &str)> {
        Some((&self.source_computer_id, &self.computer))
    }
}

impl<'a> Incoming<'a> for RunProgress<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        complete!(self, origin, id);
        Ok(())
    }

    fn computer(&self) -> Option<(&str, &str)> {
        Some((&self.source_computer_id, &self.computer))
    }
}

impl<'a> Incoming<'a> for Heartbeat<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        complete!(self, origin, id);
        if origin.sender.group().is_some() {
            self.category = Cow::Borrowed("SCOM Agent");
            self.sc_agent_channel = Cow::Borrowed("SCManagementServer");
        }
        fill(&mut self.category, "Direct Agent");
        fill(&mut self.sc_agent_channel, "Direct");
        fill(&mut self.computer_ip, origin.computer_ip);
        fill(&mut self.solutions, origin.solutions);
        Ok(())
    }

    fn computer(&self) -> Option<(&str, &str)> {
        Some((&self.source_computer_id, &self.computer))
    }
}

impl<'a> Incoming<'a> for Event<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        complete!(self, origin, id);
        let name = match self.event_level {
            1 => "Critical",
            2 => "Error",
            3 => "Warning",
            4 => "Information",
            5 => "Verbose",
            _ => "",
        };
        fill(&mut self.event_level_name, name);
        Ok(())
    }

    fn computer(&self) -> Option<(&str, &str)> {
        Some((&self.source_computer_id, &self.computer))
    }
}

impl<'a> Incoming<'a> for OfficeActivity<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        if self.report_id.is_nil() {
            self.report_id = id();
        }
        fill(&mut self.tenant_id, origin.workspace_id);
        fill(&mut self.source_system, "OfficeActivityManager");
        fill(&mut self.resource_id, origin.resource_id);
        Ok(())
    }
}

impl<'a> Incoming<'a> for CustomLog<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        self.report_id = id();
        fill(&mut self.workspace_id, origin.workspace_id);
        fill(&mut self.resource_id, origin.resource_id);
        Ok(())
    }
}

impl<'a> Incoming<'a> for UpdateDeployment<'a> {
    fn complete(&mut self, origin: Origin<'a>, id: impl FnOnce() -> Uuid) -> Result<(), Invalid> {
        if self.report_id.is_nil() {
            self.report_id = id();
        }
        fill(&mut self.management_group_name, origin.management_group);
        deployment::complete(self)
    }
}

fn fill<'a>(field: &mut Cow<'a, str>, known: &'a str) {
    if field.is_empty() {
        *field = Cow::Borrowed(known);
    }
}

/// The reports of one request, complete, checked and encoded. None is published before all are
/// here.
pub(super) struct Batch<'g> {
    codec: &'g Codec,
    origin: Origin<'g>,
    reservation: &'g mut Reservation,
    /// What `reservation` holds for the body and its decoding.
    reserved: usize,
    /// Encoded bytes that `reserved` has room for.
    room: usize,
    /// Where each report id stands first.
    ids: HashMap<Uuid, usize>,
    pub(super) encoded: Encoded,
}

/// What becomes of a request's items.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) messages: Vec<Message>,
    pub(super) report_ids: Vec<Uuid>,
    /// Updates that the reports list together.
    pub(super) updates: usize,
    /// Texts that were cut to the length that their wire allows.
    pub(super) cut_texts: usize,
    /// Bytes that the messages take.
    pub(super) bytes: usize,
}

impl Encoded {
    /// The computers' ids, one a message.
    pub(super) fn keys(&self) -> Vec<String> {
        self.messages.iter().map(|message| message.key.clone()).collect()
    }
}

impl<'g> Batch<'g> {
    pub(super) fn new(
        codec: &'g Codec,
        origin: Origin<'g>,
        reservation: &'g mut Reservation,
        reserved: usize,
        room: usize,
    ) -> Self {
        let (ids, encoded) = Default::default();
        Self { codec, origin, reservation, reserved, room, ids, encoded }
    }

    pub(super) fn origin(&self) -> Origin<'g> {
        self.origin
    }

    /// Takes `report`, which was read from the bytes `raw` on a wire that calls it `name`.
    pub(super) fn add<'a, R: Incoming<'a>>(
        &mut self,
        name: &str,
        raw: &str,
        mut report: R,
    ) -> Result<(), Problem>
    where
        'g: 'a,
    {
        report
            .complete(self.origin, || report_id(name, raw))
            .and_then(|()| report.check())
            .map_err(|wrong| {
                Problem::new(Reason::Invalid, wrong.to_string()).in_field(wrong.field)
            })?;
        self.origin.sender.check(report.computer())?;
        let mut payload = Vec::with_capacity(raw.len() / 4);
        self.codec
            .encode(&report, &mut payload)
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let encoded = &mut self.encoded;
        // Downstream one id is one report: of two different ones only one would be shown.
        let first = *self.ids.entry(report.report_id()).or_insert(encoded.messages.len());
        if encoded.messages.get(first).is_some_and(|message| message.payload != payload) {
            let problem = format!("ReportId: is that of item {first}, which is another report");
            return Err(Problem::new(Reason::Invalid, problem).in_field("ReportId"));
        }
        encoded.bytes += payload.len() + MESSAGE_OVERHEAD_BYTES;
        self.reservation.raise_to(self.reserved + encoded.bytes.saturating_sub(self.room))?;
        encoded.updates += report.updates();
        encoded.report_ids.push(report.report_id());
        encoded.messages.push(Message { key: report.key().to_owned(), payload });
        Ok(())
    }
}

/// The id of a report that came without one: a UUIDv5. Not by `Uuid::new_v5`, which wants the name
/// in one piece and hashes at half the speed; a scan is hundreds of kilobytes.
fn report_id(name: &str, raw: &str) -> Uuid {
    let mut hash = Sha1::new();
    for part in [REPORT_NAMESPACE.as_bytes(), name.as_bytes(), b"\n", raw.as_bytes()] {
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_report_and_others_are_not() {
        assert_eq!(report_id("Scan", "{}"), report_id("Scan", "{}"));
        assert_ne!(report_id("Scan", "{}"), report_id("Scan", "{ }"));
        assert_ne!(report_id("Scan", "{}"), report_id("Heartbeat", "{}"));
        let whole = Uuid::new_v5(&REPORT_NAMESPACE, b"Scan\n{}");
        assert_eq!(report_id("Scan", "{}"), whole, "a UUIDv5");
        // Kept: a resend across an upgrade must not get another id.
        assert_eq!(report_id("Scan", "{}").to_string(), "03785642-05cb-5bc6-bc1e-af3e4dd30161");
    }
}
