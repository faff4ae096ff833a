-- What became of a computer's updates within the time range: needed, replaced or installed, and when.
-- Parameter computer: SourceComputerId
-- Required: computer
-- Sort: -Time, Name, State, Classification, FirstNeeded, DaysToPatch
-- Key: UpdateID, Product, ProductArch, Version
SELECT
    TimeGenerated AS Time,
    if(Title = '', Product, Title) AS Name,
    ProductVersion AS Version,
    KBID AS KB,
    State,
    Classification,
    FirstNeeded,
    DaysToPatch,
    UpdateID, Product, ProductArch
FROM UpdateHistory
WHERE SourceComputerId = {computer:String}
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
