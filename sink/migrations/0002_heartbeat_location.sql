-- Version 2 of the record Heartbeat says where a computer's public address is. Rows from before have the
-- defaults, as have heartbeats of older senders. Reading goes on meanwhile: the view keeps its columns until it is
-- replaced, which is one step.
ALTER TABLE heartbeat_rows
    ADD COLUMN IF NOT EXISTS RemoteIPCountry LowCardinality(String)
        COMMENT 'Country that the computer''s public address is in' AFTER Solutions,
    ADD COLUMN IF NOT EXISTS RemoteIPLatitude Nullable(Float64)
        COMMENT 'Latitude of that place, degrees north; null where it is not known' AFTER RemoteIPCountry,
    ADD COLUMN IF NOT EXISTS RemoteIPLongitude Nullable(Float64)
        COMMENT 'Longitude of that place, degrees east; null where it is not known' AFTER RemoteIPLatitude;

CREATE OR REPLACE VIEW Heartbeat AS
SELECT
    * EXCEPT (SourcePartition, SourceOffset),
    TenantId, _TimeReceived, _IsBillable, _ResourceId, SubscriptionId, _SubscriptionId,
    ResourceGroup, ResourceProvider, ResourceType, Resource, Type
FROM heartbeat_rows FINAL;
