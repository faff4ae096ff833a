-- Every known computer, as it stood at the end of the time range.
-- Parameter search: part of the computer's name or id, in any case
-- Parameter group: management group; empty for all
-- Parameter os: Linux | Windows
-- Parameter state: Up to date | Updates needed | Restart pending | Not assessed | Not reporting
-- Parameter readiness: Ready | Disconnected | Not configured
-- Parameter age: None | Recent | 30 days ago | 60 days ago | 90 days ago | 120 days ago | 150 days ago | 180 days ago | Older
-- Sort: Computer, OSType, OSVersion, ManagementGroup, State, Readiness, LastSeen, LastAssessed, Critical, Security, Other, OldestDays
-- Key: SourceComputerId
WITH computers AS (@computers)
SELECT
    Computer, OSType, OSVersion, ManagementGroup, State, Readiness, LastSeen, LastAssessed,
    if(Assessed, computers.Critical, NULL) AS Critical,
    if(Assessed, computers.Security, NULL) AS Security,
    if(Assessed, computers.Other, NULL) AS Other,
    if(Assessed, computers.OldestDays, NULL) AS OldestDays,
    WindowsUpdate,
    SourceComputerId
FROM computers
WHERE (positionCaseInsensitiveUTF8(Computer, {search:String}) > 0
        OR positionCaseInsensitiveUTF8(SourceComputerId, {search:String}) > 0)
    AND ({os:String} = '' OR OSType = {os:String})
    AND ({state:String} = '' OR State = {state:String})
    AND ({readiness:String} = '' OR Readiness = {readiness:String})
    AND ({age:String} = '' OR (Assessed AND Age = {age:String}))
