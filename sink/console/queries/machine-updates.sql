-- The updates of a computer's newest scan, and why each is classified as it is: ClassificationSource says whose word
-- counts, AdvisoryIDs which entries of the catalog, AgentClassification what the computer itself said.
-- Parameter computer: SourceComputerId
-- Parameter updates: Missing | Needed | Not needed | Installed ; Missing is needed, approved and not optional; empty for all
-- Parameter classification: final classification; empty for all
-- Parameter search: part of the name, KB number, advisory or CVE, in any case
-- Required: computer
-- Sort: Name, Version, KB, UpdateState, Classification, ClassificationSource, Severity, Published
-- Key: UpdateID, Product, ProductArch, Version
SELECT
    if(Title = '', Product, Title) AS Name,
    Product, ProductArch,
    ProductVersion AS Version,
    KBID AS KB,
    UpdateState,
    Classification,
    ClassificationSource,
    AdvisoryIDs,
    AgentClassification,
    UpdateSeverity AS Severity,
    BulletinID, BulletinUrl, MSRCBulletinID, CVENumbers,
    PublishedDate AS Published,
    RebootBehavior, SupersededBy, Approved, Optional, CatalogVersion, UpdateID
FROM Update
WHERE SourceComputerId = {computer:String}
    AND multiIf(
        {updates:String} = '', true,
        {updates:String} = 'Missing', UpdateState = 'Needed' AND Approved AND NOT Optional,
        UpdateState = {updates:String})
    AND ({classification:String} = '' OR Classification = {classification:String})
    AND ({search:String} = ''
        OR positionCaseInsensitiveUTF8(concatWithSeparator(' ', Title, Product, KBID, AdvisoryIDs, CVENumbers),
            {search:String}) > 0)
