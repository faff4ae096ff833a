-- Total virtual machines in a cluster: total, running, stopped and failed
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
--   | extend VmsStopped = toint(description.m_totalVmsStopped)
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out. The original shows the stopped ones only; its description promises all four.
-- Parameter ClusterArmId = 'enter cluster ID'
SELECT
    TimeGenerated,
    JSONExtractInt(RenderedDescription, 'm_totalVms') AS VmsTotal,
    JSONExtractInt(RenderedDescription, 'm_totalVmsRunning') AS VmsRunning,
    JSONExtractInt(RenderedDescription, 'm_totalVmsStopped') AS VmsStopped,
    JSONExtractInt(RenderedDescription, 'm_totalVmsFailed') AS VmsFailed
FROM Event
WHERE lower(EventLog) = 'microsoft-windows-sddc-management/operational' AND EventID = 3003
    AND lower(extract(EventData, '<ArmId>([^<]*)</ArmId>')) = lower({ClusterArmId:String})
ORDER BY TimeGenerated DESC
LIMIT 1
