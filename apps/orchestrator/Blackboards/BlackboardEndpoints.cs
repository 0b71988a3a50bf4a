using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Who wrote to a blackboard, and when.</summary>
internal sealed record BlackboardAuthorView(string RunId, string Path, string? Agent, DateTimeOffset At);

/// <summary>An entry of a blackboard.</summary>
internal sealed record BlackboardEntryView
{
    public required string Name { get; init; }
    public string? Description { get; init; }
    public required JsonElement Schema { get; init; }
    /// <summary><c>replace</c>, <c>append</c>, <c>sum</c>, <c>max</c>, <c>min</c> or <c>merge</c>.</summary>
    public required string Merge { get; init; }
    public JsonElement? Value { get; init; }
    /// <summary>Number of its last write; 0 before the first.</summary>
    public required long Version { get; init; }
    public BlackboardAuthorView? Written { get; init; }
}

/// <summary>A blackboard as it stands.</summary>
/// <param name="RunId">The run whose workflow declares it.</param>
/// <param name="Version">Number of the last write.</param>
/// <param name="Entries">All that are declared.</param>
internal sealed record BlackboardView(string RunId, long Version, IReadOnlyList<BlackboardEntryView> Entries);

/// <summary>A write to a blackboard: what was given, and what the entry held then.</summary>
internal sealed record BlackboardWriteView(long Version, string Name, JsonElement Given, JsonElement Value, BlackboardAuthorView Written);

/// <summary>/api/v1/runs/{id}/blackboard.</summary>
internal static class BlackboardEndpoints
{
    public static async Task<Results<Ok<BlackboardView>, ProblemHttpResult>> GetAsync(HttpContext http, IRunStore runs, RunBlackboards boards, string id, long? version, CancellationToken cancellationToken)
    {
        if (version < 0) return Problems.Invalid("version", "must be the number of a write.");
        if (await FindAsync(http, runs, boards, id, cancellationToken) is not { } board) return Problems.NotFound("The run, or a blackboard of it,");
        Dictionary<string, BlackboardWrite> last = (await boards.ReadAsync(board, version)).ToDictionary(w => w.Name);
        return TypedResults.Ok(new BlackboardView(board.Run.Id, last.Values.Select(w => w.Version).DefaultIfEmpty().Max(), [.. board.Entries.Values.Select(e => new BlackboardEntryView
        {
            Name = e.Name,
            Description = e.Description,
            Schema = e.Shape.Source,
            Merge = e.Merge.ToString().ToLowerInvariant(),
            Value = last.TryGetValue(e.Name, out BlackboardWrite? write) ? Value(write.Value) : e.Initial,
            Version = write?.Version ?? 0,
            Written = write is null ? null : Author(write),
        })]));
    }

    public static async Task<Results<Ok<Page<BlackboardWriteView>>, ProblemHttpResult>> HistoryAsync(HttpContext http, IRunStore runs, RunBlackboards boards, IBlackboardStore store, string id, string? name, int? limit, string? cursor, CancellationToken cancellationToken)
    {
        if (await FindAsync(http, runs, boards, id, cancellationToken) is not { } board) return Problems.NotFound("The run, or a blackboard of it,");
        PageRequest page = PageRequest.Of(limit, cursor);
        long after = page.After is null ? 0 : long.TryParse(page.After, NumberStyles.None, CultureInfo.InvariantCulture, out long position) ? position : long.MaxValue;
        IReadOnlyList<BlackboardWrite> writes = await store.WritesAsync(board.Run.TenantId, board.Run.Id, name, after, page.Limit + 1);
        return TypedResults.Ok(Page<BlackboardWriteView>.From([.. writes.Select(w => new BlackboardWriteView(w.Version, w.Name, Value(w.Given), Value(w.Value), Author(w)))], page.Limit, w => w.Version.ToString(CultureInfo.InvariantCulture)));
    }

    private static async ValueTask<Blackboard?> FindAsync(HttpContext http, IRunStore runs, RunBlackboards boards, string id, CancellationToken cancellationToken) =>
        Ids.IsValid(id, "run") && await runs.FindAsync(http.GetCaller().TenantId, id) is { } run ? await boards.FindAsync(run, cancellationToken) : null;

    private static BlackboardAuthorView Author(BlackboardWrite write) => new(write.RunId, write.Path, write.Agent, write.At);

    private static JsonElement Value(byte[] json) => JsonSerializer.Deserialize<JsonElement>(json);
}
