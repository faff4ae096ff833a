-- How old the oldest missing security update of each assessed computer is.
-- Parameter group: management group; empty for all
WITH computers AS (@computers)
SELECT
    Age,
    countIf(OSType = 'Linux') AS Linux,
    countIf(OSType = 'Windows') AS Windows,
    count() AS Computers
FROM computers
WHERE Assessed
GROUP BY Age
ORDER BY indexOf(
    ['None', 'Recent', '30 days ago', '60 days ago', '90 days ago', '120 days ago', '150 days ago', '180 days ago',
        'Older'], Age)
LIMIT 100
