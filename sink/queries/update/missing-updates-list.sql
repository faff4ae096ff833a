-- Missing updates list: all updates that are missing, and on how many computers
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Update
--   | where TimeGenerated>ago(5h) and OSType=="Linux" and SourceComputerId in ((Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=="Linux" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--   | where Solutions has "updates"
--   | distinct SourceComputerId))
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, BulletinUrl, BulletinID) by SourceComputerId, Product, ProductArch
--   | where UpdateState=~"Needed"
--   | project-away UpdateState, TimeGenerated
--   | summarize computersCount=dcount(SourceComputerId, 2), ClassificationWeight=max(iff(Classification has "Critical", 4, iff(Classification has "Security", 2, 1))) by id=strcat(Product, "_", ProductArch), displayName=Product, productArch=ProductArch, classification=Classification, InformationId=BulletinID, InformationUrl=tostring(split(BulletinUrl, ";", 0)[0]), osType=1
--   | union(Update
--   | where TimeGenerated>ago(14h) and OSType!="Linux" and (Optional==false or Classification has "Critical" or Classification has "Security") and SourceComputerId in ((Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=~"Windows" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--   | where Solutions has "updates"
--   | distinct SourceComputerId))
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, Title, KBID, PublishedDate, Approved) by Computer, SourceComputerId, UpdateID
--   | where UpdateState=~"Needed" and Approved!=false
--   | project-away UpdateState, Approved, TimeGenerated
--   | summarize computersCount=dcount(SourceComputerId, 2), displayName=any(Title), publishedDate=min(PublishedDate), ClassificationWeight=max(iff(Classification has "Critical", 4, iff(Classification has "Security", 2, 1))) by id=strcat(UpdateID, "_", KBID), classification=Classification, InformationId=strcat("KB", KBID), InformationUrl=iff(isnotempty(KBID), strcat("https://support.microsoft.com/kb/", KBID), ""), osType=2)
--   | sort by ClassificationWeight desc, computersCount desc, displayName asc
--   | extend informationLink=(iff(isnotempty(InformationId) and isnotempty(InformationUrl), toobject(strcat('{ "uri": "', InformationUrl, '", "text": "', InformationId, '", "target": "blank" }')), toobject('')))
--   | project-away ClassificationWeight, InformationId, InformationUrl
-- Note: Update has the rows of the newest scan of each computer only, so there is nothing left for
-- arg_max to do. (Of a package with an update available it has two rows with the same time, the
-- installed version and the available one, between which arg_max would choose at will.)
WITH computers AS
    (
        SELECT SourceComputerId
        FROM Heartbeat
        WHERE TimeGenerated > now() - INTERVAL 12 HOUR AND Computer != ''
        GROUP BY SourceComputerId
        HAVING hasToken(lower(argMax(Solutions, TimeGenerated)), 'updates')
    )
SELECT
    if(OSType = 'Linux', concat(Product, '_', ProductArch), concat(UpdateID, '_', KBID)) AS id,
    if(OSType = 'Linux', Product, any(Title)) AS displayName,
    ProductArch AS productArch,
    Classification AS classification,
    if(OSType = 'Linux', 1, 2) AS osType,
    uniqExact(SourceComputerId) AS computersCount,
    if(OSType = 'Linux', NULL, min(PublishedDate)) AS publishedDate,
    multiIf(
        OSType = 'Linux' AND BulletinID != '' AND BulletinUrl != '',
            concat('{ "uri": "', splitByChar(';', BulletinUrl)[1], '", "text": "', BulletinID, '", "target": "blank" }'),
        OSType != 'Linux' AND KBID != '',
            concat('{ "uri": "https://support.microsoft.com/kb/', KBID, '", "text": "KB', KBID, '", "target": "blank" }'),
        '') AS informationLink
FROM
(
    SELECT
        OSType, SourceComputerId, Title, KBID, PublishedDate, Classification, ProductArch,
        if(OSType = 'Linux', '', UpdateID) AS UpdateID,
        if(OSType = 'Linux', Product, '') AS Product,
        if(OSType = 'Linux', BulletinID, '') AS BulletinID,
        if(OSType = 'Linux', BulletinUrl, '') AS BulletinUrl
    FROM Update
    WHERE UpdateState = 'Needed' AND SourceComputerId IN computers
        AND if(OSType = 'Linux',
            TimeGenerated > now() - INTERVAL 5 HOUR,
            TimeGenerated > now() - INTERVAL 14 HOUR AND Approved
                AND (NOT Optional OR Classification IN ('Security Updates', 'Critical Updates')))
)
GROUP BY OSType, Product, ProductArch, UpdateID, KBID, Classification, BulletinID, BulletinUrl
ORDER BY
    multiIf(classification = 'Critical Updates', 4, classification = 'Security Updates', 2, 1) DESC,
    computersCount DESC, displayName, id
