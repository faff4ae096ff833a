-- Compliance by system: of the computers assessed in the time range, those that miss no critical and no security
-- update. The unknown are counted apart.
-- Parameter group: management group; empty for all
WITH computers AS (@computers)
SELECT
    OSType,
    OSVersion,
    count() AS Computers,
    countIf(Assessed) AS AssessedComputers,
    countIf(Assessed AND Critical + Security = 0) AS Compliant,
    countIf(NOT Assessed) AS Unknown,
    sumIf(computers.Critical, Assessed) AS CriticalMissing,
    sumIf(computers.Security, Assessed) AS SecurityMissing,
    sumIf(computers.Other, Assessed) AS OtherMissing
FROM computers
GROUP BY OSType, OSVersion
ORDER BY OSType, OSVersion
LIMIT 1000
