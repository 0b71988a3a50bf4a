using System.Globalization;
using MultiAgent.Bench.Usage;

// Usage: bench/usage.sh [--records N] [--rounds N]
var (records, rounds) = (200_000, 5);
for (var i = 0; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--records") records = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
    else if (args[i] == "--rounds") rounds = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
    else throw new FormatException($"Unknown option {args[i]}.");
}

var rates = new Dictionary<string, List<double>>();
try
{
    await using var postgres = await PostgresProcess.StartAsync();
    await using var inPostgres = await PlatformStore.CreateAsync(postgres);
    await using var inSqlite = await PlatformStore.CreateAsync(postgres: null);
    await using var bare = await BareCopy.CreateAsync(postgres);
    (string Name, IContestant Contestant)[] contestants =
    [
        ("bare COPY into a plain table (Npgsql)", bare),
        ("platform on PostgreSQL", inPostgres),
        ("platform on SQLite", inSqlite),
    ];
    // The first round warms up and is not counted.
    for (var round = 0; round <= rounds; round++)
    {
        foreach (var (name, contestant) in contestants)
        {
            var rate = await Race.RunAsync(contestant, records);
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {(round == 0 ? "warm-up" : $"round {round}")} {name}: {rate:N0} records/s"));
            if (!rates.TryGetValue(name, out var list)) rates[name] = list = [];
            if (round > 0) list.Add(rate);
        }
    }
}
catch (Exception e)
{
    // Caught, so that the server has been stopped by now.
    Console.Error.WriteLine(e);
    return 1;
}

Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
    $"Usage records stored, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC: {records:N0} records of {Race.Tenants} tenants in events of {Race.RecordsPerEvent}, {Race.Consumers} consumers that take {Race.EventsPerBatch} events at a time; every batch is synced to disk before the next; medians of {rounds} rounds in turn."));
Console.WriteLine();
Console.WriteLine("| | records/s |");
Console.WriteLine("|---|---:|");
foreach (var (name, measured) in rates) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {Race.Median(measured):N0} |"));
return 0;
