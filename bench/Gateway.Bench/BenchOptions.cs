using System.Globalization;

namespace MultiAgent.Bench.Gateway;

internal sealed record BenchOptions
{
    public static readonly string[] AllScenarios = ["json", "stream", "paced", "open", "abort", "agent", "peers", "portkey", "production", "memory"];

    public const string Usage =
        """
        bench/run.sh [options]
          --seconds N      length of one measured run (default 10)
          --warmup N       seconds of load before the first round of a scenario (default 20)
          --rounds N       rounds, each running all candidates in turn (default 3)
          --connections N  connections of the closed loop (default 64)
          --only LIST      of json,stream,paced,open,abort,agent,peers,portkey,production,memory (default all)
        """;

    public int Seconds { get; init; } = 10;

    public int Warmup { get; init; } = 20;

    public int Rounds { get; init; } = 3;

    public int Connections { get; init; } = 64;

    public IReadOnlyList<string> Only { get; init; } = AllScenarios;

    /// <summary>Where the built servers, the logs and the results are.</summary>
    public string Artifacts { get; init; } = Path.Combine("artifacts", "bench");

    public static BenchOptions Parse(string[] args)
    {
        var options = new BenchOptions();
        for (var i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length)
                throw new FormatException($"{args[i]} needs a value.\n\n{Usage}");
            var value = args[i + 1];
            options = args[i] switch
            {
                "--seconds" => options with { Seconds = Number(args[i], value, 1, 600) },
                "--warmup" => options with { Warmup = Number(args[i], value, 0, 120) },
                "--rounds" => options with { Rounds = Number(args[i], value, 1, 50) },
                "--connections" => options with { Connections = Number(args[i], value, 1, 1000) },
                "--only" => options with { Only = Scenarios(value) },
                "--artifacts" => options with { Artifacts = value },
                _ => throw new FormatException($"Unknown option {args[i]}.\n\n{Usage}"),
            };
        }
        return options;
    }

    private static int Number(string name, string value, int min, int max) =>
        int.TryParse(value, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw new FormatException($"{name} takes a number from {min} to {max}, not '{value}'.");

    private static string[] Scenarios(string list)
    {
        var names = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var unknown = names.FirstOrDefault(name => !AllScenarios.Contains(name));
        return unknown is null && names.Length > 0
            ? names
            : throw new FormatException($"--only does not know '{unknown}'; it knows {string.Join(", ", AllScenarios)}.");
    }
}
