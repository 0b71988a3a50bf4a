using System.Globalization;
using MultiAgent.Bench.Bus;

const string Bare = "NATS.Net, bare";

// Usage: bench/bus.sh [--events N] [--rounds N]
var (events, rounds) = (50_000, 5);
for (var i = 0; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--events") events = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
    else if (args[i] == "--rounds") rounds = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
    else throw new FormatException($"Unknown option {args[i]}.");
}

var rates = new Dictionary<string, List<double>>();
try
{
    await using var nats = await NatsProcess.StartAsync();
    (string Name, Func<Task<IContestant>> Make)[] contestants =
    [
        (Bare, async () => await BarePair.CreateAsync(nats.Url)),
        ("platform on JetStream", async () => await PlatformBus.CreateAsync(nats.Url)),
        ("platform, embedded", async () => await PlatformBus.CreateAsync(natsUrl: null)),
    ];
    // The first round warms up and is not counted.
    for (var round = 0; round <= rounds; round++)
    {
        foreach (var (name, make) in contestants)
        {
            await using var contestant = await make();
            var rate = await Race.RunAsync(contestant, events);
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {(round == 0 ? "warm-up" : $"round {round}")} {name}: {rate:N0} events/s"));
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

var bare = Race.Median(rates[Bare]);
Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
    $"Event bus end to end, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC: {events:N0} events of {Race.PayloadBytes} bytes, {Race.Publishers} publishers of {Race.BatchSize} at a time, one consumer; medians of {rounds} rounds in turn."));
Console.WriteLine();
Console.WriteLine("| | events/s | × bare NATS.Net |");
Console.WriteLine("|---|---:|---:|");
foreach (var (name, measured) in rates)
{
    var rate = Race.Median(measured);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {rate:N0} | {rate / bare:N2} |"));
}
return 0;
