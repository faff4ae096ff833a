-- Office 365 solution in OMS, of June 2017, calls a column evationApprovedTime: a slip, but whoever copies names from
-- there should find it.
ALTER TABLE office_activity_rows
    ADD COLUMN IF NOT EXISTS evationApprovedTime Nullable(DateTime64(3, 'UTC')) ALIAS ElevationApprovedTime
        COMMENT 'ElevationApprovedTime as the documents of 2017 misspell it';

CREATE OR REPLACE VIEW OfficeActivity AS
SELECT
    * EXCEPT (OfficeTenantKey, SourcePartition, SourceOffset),
    evationApprovedTime, _TimeReceived, _IsBillable, _ResourceId, _SubscriptionId, Type
FROM office_activity_rows FINAL;

-- The age is that of security updates. On Windows a critical update is none, by its definition; on Linux it is
-- one of the gravest severity.
ALTER TABLE update_summary_rows
    COMMENT COLUMN IF EXISTS OldestMissingSecurityUpdateInDays 'Days from the publication of the oldest missing security update (on Linux the critical ones are such) to the scan; null where none has a date';

ALTER TABLE UpdateSummary
    COMMENT COLUMN IF EXISTS OldestMissingSecurityUpdateInDays 'Days from the publication of the oldest missing security update (on Linux the critical ones are such) to the scan; null where none has a date';
