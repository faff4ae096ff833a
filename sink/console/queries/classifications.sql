-- Missing updates by classification, of the newest scans in the time range: needed, approved and not optional.
-- Parameter group: management group; empty for all
SELECT
    Classification,
    countIf(OSType = 'Linux') AS Linux,
    countIf(OSType = 'Windows') AS Windows,
    count() AS Missing,
    uniqExact(SourceComputerId) AS Computers
FROM Update
WHERE UpdateState = 'Needed' AND Approved AND NOT Optional
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    AND ({group:String} = '' OR ManagementGroupName = {group:String})
GROUP BY Classification
ORDER BY indexOf(['Other Updates', 'Updates', 'Security Updates', 'Critical Updates'], Classification) DESC,
    Classification
LIMIT 100
