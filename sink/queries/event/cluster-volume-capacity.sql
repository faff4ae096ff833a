-- Available volume capacity in a cluster, in bytes
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace enter cluster ID with your cluster arm ID
--   Event
--   | where EventLog =~ "Microsoft-Windows-SDDC-Management/Operational" and EventID == "3002"
--   | extend ClusterData = parse_xml(EventData)
--   | extend ClusterName = tostring(ClusterData.DataItem.UserData.EventData["ClusterName"])
--   | extend ClusterArmId = tostring(ClusterData.DataItem.UserData.EventData["ArmId"])
--   | where ClusterArmId =~ 'enter cluster ID'
--   | summarize arg_max(TimeGenerated, RenderedDescription)
--   | extend volumes_information = parse_json(RenderedDescription).VolumeList
--   | mv-expand volumes_information
--   | extend Volumes = tostring(volumes_information.m_Label)
--   | extend TotalCap = todecimal(volumes_information.m_Size)
--   | extend AvailableCap = TotalCap - todecimal(volumes_information.m_SizeUsed)
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out.
-- Parameter ClusterArmId = 'enter cluster ID'
SELECT
    TimeGenerated,
    JSONExtractString(Volume, 'm_Label') AS Volumes,
    JSONExtractInt(Volume, 'm_Size') AS TotalCap,
    TotalCap - JSONExtractInt(Volume, 'm_SizeUsed') AS AvailableCap
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
ORDER BY Volumes
