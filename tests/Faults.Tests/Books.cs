using System.Globalization;
using System.Text.Json;

namespace MultiAgent.Faults.Tests;

/// <summary>What the platform has of what a client sent, read through its API once the fault is over.</summary>
internal sealed record Found(int There, int Twice, IReadOnlyList<string> Lost);

/// <summary>Compares what was acknowledged with what is there.</summary>
internal sealed class Books(Load load, DateTimeOffset from)
{
    private static readonly string[] Ended = ["completed", "failed", "cancelled"];

    private readonly string _range = $"from={Text(from)}&to={Text(from.AddDays(1))}&limit=200";

    /// <summary>Each chat that was answered has its usage once; one that was not has none or one.</summary>
    public async Task<Found> ChatsAsync()
    {
        Dictionary<string, int> records = [];
        await UntilNothingIsMissingAsync(async () =>
        {
            records = Count((await AllAsync($"/api/v1/usage/records?{_range}")).Where(r => r.GetProperty("status").GetString() == "ok"), "requestId");
            return load.Chats.Acknowledged.Keys.All(records.ContainsKey);
        });
        return Compare(load.Chats, records);
    }

    /// <summary>Each run that was acknowledged is there once and has ended, with a gapless log that tells its end once.</summary>
    public async Task<Found> RunsAsync()
    {
        Dictionary<string, JsonElement> runs = [];
        await UntilNothingIsMissingAsync(async () =>
        {
            runs = (await AllAsync("/api/v1/runs?agent=helper&limit=200", r => r.GetProperty("createdAt").GetDateTimeOffset() >= from)).ToDictionary(r => r.GetProperty("id").GetString()!);
            return load.Runs.Acknowledged.Values.All(id => runs.TryGetValue(id, out JsonElement run) && Ended.Contains(run.GetProperty("status").GetString()));
        });
        var lost = new List<string>();
        await Parallel.ForEachAsync(load.Runs.Acknowledged.Values, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (id, _) =>
        {
            string? problem = !runs.ContainsKey(id) ? "is not there" : await ProblemOfLogAsync(id);
            if (problem is not null) lock (lost) lost.Add($"{id} {problem}");
        });
        // Every key was repeated until it was taken: a run that no key names would be one too many.
        int extra = runs.Keys.Except(load.Runs.Acknowledged.Values).Count() + load.Runs.Acknowledged.Count - load.Runs.Acknowledged.Values.Distinct().Count();
        return new Found(load.Runs.Acknowledged.Count - lost.Count, extra, lost);
    }

    /// <summary>Each journey that was acknowledged is there once.</summary>
    public async Task<Found> JourneysAsync()
    {
        Dictionary<string, int> journeys = [];
        await UntilNothingIsMissingAsync(async () =>
        {
            journeys = Count(await AllAsync($"/api/v1/journeys?type=fault-test&{_range}"), "userId");
            return load.Journeys.Acknowledged.Keys.All(journeys.ContainsKey);
        });
        return Compare(load.Journeys, journeys);
    }

    /// <summary>What the sums say is what the single records say, once the usage of the last runs has come.</summary>
    public async Task<(long Summed, int Listed)> UsageAsync()
    {
        (long summed, int listed) = (-1, 0);
        await UntilNothingIsMissingAsync(async () =>
        {
            summed = (await load.Client.GetJsonAsync($"/api/v1/usage?{_range[.._range.LastIndexOf('&')]}")).GetProperty("total").GetProperty("requests").GetInt64();
            listed = (await AllAsync($"/api/v1/usage/records?{_range}")).Count;
            return summed == listed;
        });
        return (summed, listed);
    }

    private static string Text(DateTimeOffset time) => Uri.EscapeDataString(time.ToString("O", CultureInfo.InvariantCulture));

    private async Task<string?> ProblemOfLogAsync(string id)
    {
        List<JsonElement> log = await AllAsync($"/api/v1/runs/{id}/events?limit=200");
        if (log.Select((e, i) => e.GetProperty("seq").GetInt64() == i + 1).Contains(false)) return "has a log with a gap";
        int ends = log.Count(e => e.GetProperty("type").GetString() is "run.completed" or "run.failed" or "run.cancelled");
        return ends == 1 ? null : $"tells its end {ends} times";
    }

    private async Task<List<JsonElement>> AllAsync(string path, Func<JsonElement, bool>? wanted = null)
    {
        var all = new List<JsonElement>();
        string? cursor = null;
        do
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, cursor is null ? path : $"{path}&cursor={Uri.EscapeDataString(cursor)}");
            request.Headers.Add("Accept", "application/json");
            using HttpResponseMessage response = await load.Client.SendAsync(request);
            JsonElement page = await response.EnsureSuccessStatusCode().ReadJsonAsync();
            List<JsonElement> data = [.. page.GetProperty("data").EnumerateArray()];
            all.AddRange(data.Where(d => wanted is null || wanted(d)));
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
            // Newest first: the rest is older than what is looked for.
            if (wanted is not null && data.Count > 0 && !wanted(data[^1])) break;
        }
        while (cursor is not null);
        return all;
    }

    private static async Task UntilNothingIsMissingAsync(Func<Task<bool>> complete)
    {
        try
        {
            await Eventually.TrueAsync(complete, "everything acknowledged is there");
        }
        catch (TimeoutException)
        {
            // What is missing is told one by one.
        }
    }

    private static Dictionary<string, int> Count(IEnumerable<JsonElement> items, string member) =>
        items.Select(i => i.TryGetProperty(member, out JsonElement value) ? value.GetString() : null).OfType<string>().GroupBy(v => v).ToDictionary(g => g.Key, g => g.Count());

    private static Found Compare(Tally tally, Dictionary<string, int> there)
    {
        string[] lost = [.. tally.Acknowledged.Keys.Where(id => !there.ContainsKey(id))];
        int twice = tally.Acknowledged.Keys.Concat(tally.Open.Keys).Sum(id => Math.Max(0, there.GetValueOrDefault(id) - 1));
        return new Found(tally.Acknowledged.Count - lost.Length, twice, lost);
    }
}
