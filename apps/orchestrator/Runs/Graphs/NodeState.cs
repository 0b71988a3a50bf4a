using System.Text.Json;
using MultiAgent.Models;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>Names of the states of a graph's nodes.</summary>
internal static class NodeStates
{
    public const string Pending = "pending";
    public const string Running = "running";
    public const string Retrying = "retrying";
    public const string Waiting = "waiting";
    public const string Completed = "completed";
    public const string Failed = "failed";
    public const string Skipped = "skipped";
    public const string Cancelled = "cancelled";
    public const string Compensating = "compensating";
    public const string Compensated = "compensated";
    public const string CompensationFailed = "compensation_failed";

    // What is under way is shown before what went wrong, and that before what is done.
    private static readonly string[] Rank = [Running, Retrying, Compensating, Waiting, CompensationFailed, Failed, Cancelled, Compensated, Completed, Skipped, Pending];

    /// <summary>The one state that stands for several.</summary>
    public static string Of(IEnumerable<string> states) => states.MinBy(s => Array.IndexOf(Rank, s)) ?? Pending;

    /// <summary>Nothing more comes of it, as far as its own work goes.</summary>
    public static bool IsEnded(string state) => state is not (Pending or Running or Retrying or Waiting);

    /// <summary>How often each state is there, in a fixed order.</summary>
    public static IReadOnlyList<(string State, int Count)> Count(IEnumerable<string> states)
    {
        ILookup<string, string> byState = states.ToLookup(s => s);
        return [.. Rank.Where(byState.Contains).Select(s => (s, byState[s].Count()))];
    }
}

/// <summary>What a node waits for.</summary>
/// <param name="Kind"><c>human</c>, <c>event</c>, <c>child</c>, <c>timer</c> or <c>approval</c>.</param>
/// <param name="Id">The id to answer it under; null for times.</param>
/// <param name="Name">The event's name, the question's title or the tool's name.</param>
/// <param name="Deadline">When it ends by itself.</param>
internal sealed record NodeWait(string Kind, string? Id, string? Name, DateTimeOffset? Deadline);

/// <summary>How a node of a run's graph stands.</summary>
internal sealed class NodeState
{
    public string State { get; set; } = NodeStates.Pending;
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? EndedAt { get; set; }

    /// <summary>Attempts that were begun, of all its instances.</summary>
    public int Attempts { get; set; }

    public DateTimeOffset? RetryAt { get; set; }
    public NodeWait? Wait { get; set; }
    public RunErrorView? Error { get; set; }

    /// <summary>The newest of the runs that answer for it.</summary>
    public string? ChildRunId { get; set; }

    public int ChildRuns { get; set; }
    public TokenUsage Usage { get; private set; }

    /// <summary>US dollars, of it and what lies inside; null once the cost of any call is unknown.</summary>
    public decimal? CostUsd { get; private set; } = 0m;

    private bool _spent;

    /// <summary>States of its instances, where a loop or a map makes several of it.</summary>
    public IReadOnlyList<(string State, int Count)> Instances { get; set; } = [];

    /// <summary>Of a loop or map: how its iterations or items stand.</summary>
    public IReadOnlyList<(string State, int Count)> Iterations { get; set; } = [];

    public void Spent(in TokenUsage usage, decimal? cost)
    {
        _spent = true;
        Usage += usage;
        CostUsd = cost is null ? null : CostUsd + cost;
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("state"u8, State);
        if (StartedAt is { } started) json.WriteString("startedAt"u8, started);
        if (EndedAt is { } ended) json.WriteString("endedAt"u8, ended);
        if (Attempts > 0) json.WriteNumber("attempts"u8, Attempts);
        if (RetryAt is { } retry) json.WriteString("retryAt"u8, retry);
        if (Wait is { } wait) WriteWait(json, wait);
        if (Error is { } error)
        {
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, error.Code);
            json.WriteString("message"u8, error.Message);
            json.WriteEndObject();
        }
        if (ChildRunId is not null)
        {
            json.WriteString("childRunId"u8, ChildRunId);
            json.WriteNumber("childRuns"u8, ChildRuns);
        }
        WriteCounts(json, "instances"u8, Instances);
        WriteCounts(json, "iterations"u8, Iterations);
        if (_spent) RunLog.WriteUsage(json, Usage, CostUsd);
    }

    /// <summary>A line below the node's label; null when there is nothing to add.</summary>
    public string? Note()
    {
        IReadOnlyList<(string State, int Count)> counts = Iterations.Count > 0 ? Iterations : Instances;
        string[] parts =
        [
            State,
            .. counts.Select(c => $"{c.Count} {c.State}"),
            .. Attempts > 1 && counts.Count == 0 ? [$"attempt {Attempts}"] : Array.Empty<string>(),
            .. Error is { } error && State != NodeStates.Completed ? [error.Code] : Array.Empty<string>(),
        ];
        return State == NodeStates.Pending ? null : string.Join(", ", parts.Distinct());
    }

    private static void WriteWait(Utf8JsonWriter json, NodeWait wait)
    {
        json.WriteStartObject("wait"u8);
        json.WriteString("kind"u8, wait.Kind);
        if (wait.Id is not null) json.WriteString("id"u8, wait.Id);
        if (wait.Name is not null) json.WriteString("name"u8, wait.Name);
        if (wait.Deadline is { } deadline) json.WriteString("deadline"u8, deadline);
        json.WriteEndObject();
    }

    private static void WriteCounts(Utf8JsonWriter json, ReadOnlySpan<byte> name, IReadOnlyList<(string State, int Count)> counts)
    {
        if (counts.Count == 0) return;
        json.WriteStartObject(name);
        json.WriteNumber("total"u8, counts.Sum(c => c.Count));
        foreach ((string state, int count) in counts) json.WriteNumber(state, count);
        json.WriteEndObject();
    }
}
