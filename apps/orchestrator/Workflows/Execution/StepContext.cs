using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Results of steps by id, as far as a place can see them: an item of a map sees its own first, a subworkflow only its own.</summary>
internal sealed class Frame(Frame? outer)
{
    private readonly ConcurrentDictionary<string, StepResult> _results = new(StringComparer.Ordinal);

    public StepResult? Find(string id) => _results.TryGetValue(id, out StepResult? result) ? result : outer?.Find(id);

    public void Set(string id, StepResult result) => _results[id] = result;
}

/// <summary>What a step and all inside it have used, against what it may.</summary>
internal sealed class Meter(StepBudget budget, Meter? outer)
{
    private readonly Lock _lock = new();
    private long _tokens;
    private decimal? _cost = 0m;

    public void Spent(in TokenUsage usage, decimal? cost)
    {
        lock (_lock)
        {
            _tokens += usage.InputTokens + usage.OutputTokens;
            _cost = cost is null ? null : _cost + cost;
        }
        outer?.Spent(usage, cost);
    }

    public bool IsEmpty
    {
        get
        {
            // A bound on money that cannot be kept is not ignored.
            lock (_lock)
                if (_tokens >= budget.MaxTokens || (budget.MaxCostUsd is { } dollars && !(_cost < dollars))) return true;
            return outer?.IsEmpty ?? false;
        }
    }
}

/// <summary>Where in a workflow a step is executed, and under which bounds.</summary>
internal sealed record StepContext
{
    /// <summary>Path of what holds the step; empty for the workflow.</summary>
    public required string Path { get; init; }
    public required JsonElement Inputs { get; init; }
    public required Frame Frame { get; init; }
    public ImmutableDictionary<string, JsonElement> Locals { get; init; } = ImmutableDictionary<string, JsonElement>.Empty;

    /// <summary>The step was begun by this process: nobody can have asked anything at its place before.</summary>
    public bool BegunHere { get; init; }

    /// <summary>Only what the log has is gone through; nothing is done.</summary>
    public bool LogOnly { get; init; }

    /// <summary>When the time of something around the step is up.</summary>
    public DateTimeOffset? Deadline { get; init; }
    public Meter? Meter { get; init; }

    /// <summary>Of the step that is executed; null where nothing is, or before it has begun.</summary>
    public StepClock? Clock { get; init; }

    /// <summary>Workflows around this one, the outermost first.</summary>
    public ImmutableList<string> Workflows { get; init; } = [];
    public required CancellationToken Token { get; init; }

    /// <summary>The run in whose place this one works: keys of calls and templates name it. Null for its own.</summary>
    public string? InPlaceOf { get; init; }

    public string Of(string key) => $"{Path}/{key}";

    public StepContext Inside(string key) => this with { Path = Of(key) };

    public StepContext With(string name, JsonElement value) => this with { Locals = Locals.SetItem(name, value) };

    public StepContext With(string name, int value) => With(name, JsonSerializer.SerializeToElement(value));

    /// <summary>The variables of templates at this place.</summary>
    /// <param name="run">The run.</param>
    /// <param name="now">From the log, so that a resumed run sees the same.</param>
    public WorkflowScope Scope(RunRecord run, DateTimeOffset now)
    {
        var scope = new WorkflowScope { Inputs = Inputs, RunId = InPlaceOf ?? run.Id, Step = Frame.Find, Now = now };
        foreach ((string name, JsonElement value) in Locals) scope = scope.With(name, value);
        return scope;
    }
}
