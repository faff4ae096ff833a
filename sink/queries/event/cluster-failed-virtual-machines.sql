-- Virtual machines failed in a cluster
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace enter cluster ID with your cluster arm ID
--   Event
--   | where EventLog =~ "Microsoft-Windows-SDDC-Management/Operational" and EventID == "3003"
--   | extend ClusterName = tostring(parse_xml(EventData).DataItem.UserData.EventData["ClusterName"])
--   | extend ClusterArmId = tostring(parse_xml(EventData).DataItem.UserData.EventData["ArmId"])
--   | where ClusterArmId =~ 'enter cluster ID'
--   | summarize arg_max(TimeGenerated, RenderedDescription)
--   | extend description = parse_json(RenderedDescription)
--   | extend VmsFailed = toint(description.m_totalVmsFailed)
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out.
-- Parameter ClusterArmId = 'enter cluster ID'
SELECT TimeGenerated, JSONExtractInt(RenderedDescription, 'm_totalVmsFailed') AS VmsFailed
FROM Event
WHERE lower(EventLog) = 'microsoft-windows-sddc-management/operational' AND EventID = 3003
    AND lower(extract(EventData, '<ArmId>([^<]*)</ArmId>')) = lower({ClusterArmId:String})
ORDER BY TimeGenerated DESC
LIMIT 1
