-- The management groups that there are computers of.
SELECT ManagementGroupName AS ManagementGroup, count() AS Computers
FROM known_computers
GROUP BY ManagementGroup
ORDER BY ManagementGroup
LIMIT 1000
