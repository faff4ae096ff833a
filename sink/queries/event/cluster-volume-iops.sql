-- Volume IOPS in a cluster
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace enter cluster ID with your cluster arm ID to view IOPS of volumes in a cluster
--   //Unit for IOPS will be IOPS/s
--   Event
--   | where EventLog =~ "Microsoft-Windows-SDDC-Management/Operational" and EventID == "3002"
--   | extend ClusterData = parse_xml(EventData)
--   | extend ClusterName = tostring(ClusterData.DataItem.UserData.EventData["ClusterName"])
--   | extend ClusterArmId = tostring(ClusterData.DataItem.UserData.EventData["ArmId"])
--   | where ClusterArmId =~ 'enter cluster ID'
--   | summarize arg_max(TimeGenerated, RenderedDescription)
--   | extend volumes_information = parse_json(RenderedDescription).VolumeList
--   | mv-expand volumes_information
--   | extend VolumesName = tostring(volumes_information.m_Label)
--   | extend Iops = todouble(volumes_information.m_TotalIops)
--   | extend Iops = iff(Iops < 0, 0.0, Iops)
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out.
-- Parameter ClusterArmId = 'enter cluster ID'
SELECT
    TimeGenerated,
    JSONExtractString(Volume, 'm_Label') AS VolumesName,
    greatest(JSONExtractFloat(Volume, 'm_TotalIops'), 0) AS Iops
FROM
(
    SELECT TimeGenerated, arrayJoin(JSONExtractArrayRaw(RenderedDescription, 'VolumeList')) AS Volume
    FROM
    (
        SELECT TimeGenerated, RenderedDescription
        FROM Event
        WHERE lower(EventLog) = 'microsoft-windows-sddc-management/operational' AND EventID = 3002
            AND lower(extract(EventData, '<ArmId>([^<]*)</ArmId>')) = lower({ClusterArmId:String})
        ORDER BY TimeGenerated DESC
        LIMIT 1
    )
)
ORDER BY VolumesName
