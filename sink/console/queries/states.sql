-- Computers by state and system, at the end of the time range. "Not reporting" and "Not assessed" are the unknown.
-- Parameter group: management group; empty for all
WITH computers AS (@computers)
SELECT
    State,
    countIf(OSType = 'Linux') AS Linux,
    countIf(OSType = 'Windows') AS Windows,
    countIf(OSType NOT IN ('Linux', 'Windows')) AS OtherSystems,
    count() AS Computers
FROM computers
GROUP BY State
ORDER BY indexOf(['Up to date', 'Updates needed', 'Restart pending', 'Not assessed', 'Not reporting'], State)
