using System.Net.Http.Json;
using System.Text.Json;

namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>Creates the agent <c>agent/bench</c>, whose runs are one model call.</summary>
internal static class AgentSetup
{
    public const string Model = "agent/bench";

    /// <summary>Null when the agent answers, otherwise what went wrong.</summary>
    public static async Task<string?> PrepareAsync(Candidate platform, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { BaseAddress = platform.Address, Timeout = TimeSpan.FromSeconds(30) };
        foreach (var (name, value) in platform.Headers)
            client.DefaultRequestHeaders.TryAddWithoutValidation(name, value);

        using var created = await client.PostAsJsonAsync(
            "/api/v1/agents",
            new { slug = "bench", name = "Bench", instructions = "Answer briefly.", model = platform.Model },
            cancellationToken);
        var body = await created.Content.ReadAsStringAsync(cancellationToken);
        if (!created.IsSuccessStatusCode)
            return $"POST /api/v1/agents answers {(int)created.StatusCode}: {body}";

        if (await Arena.FirstAnswerAsync(platform.Chat(stream: false, Model), cancellationToken) is null)
            return null;

        // The first version is not in production by itself: promote it.
        using var label = await client.PutAsJsonAsync(
            "/api/v1/agents/bench/labels/production", new { version = VersionIn(body) }, cancellationToken);
        return await Arena.FirstAnswerAsync(platform.Chat(stream: false, Model), cancellationToken);
    }

    private static int VersionIn(string body)
    {
        using var json = JsonDocument.Parse(body);
        return json.RootElement.TryGetProperty("version", out var version) && version.TryGetInt32(out var number) ? number : 1;
    }
}
