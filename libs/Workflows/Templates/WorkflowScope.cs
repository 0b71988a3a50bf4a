using System.Text.Json;
using Fluid.Values;

namespace MultiAgent.Workflows.Templates;

/// <summary>What templates see of a step: <c>steps.&lt;id&gt;.output</c>, <c>.status</c> and <c>.error</c>.</summary>
/// <param name="Status">E.g. <c>completed</c>, <c>skipped</c>, <c>failed</c>.</param>
/// <param name="Output">Null when there is none.</param>
/// <param name="Error">What went wrong, for people.</param>
public sealed record StepResult(string Status, JsonElement? Output = null, string? Error = null);

/// <summary>
/// The variables of templates. Immutable: what a loop or map adds makes a new scope. Reading is cheap and lazy, so that a scope may be made for each evaluation.
/// </summary>
public sealed class WorkflowScope
{
    private readonly Dictionary<string, JsonElement> _locals = new(StringComparer.Ordinal);

    /// <summary>The workflow's inputs.</summary>
    public required JsonElement Inputs { get; init; }

    public required string RunId { get; init; }

    /// <summary>Finds what became of a step; null when it has not run (yet). Inside a map, the steps of the same item come first.</summary>
    public required Func<string, StepResult?> Step { get; init; }

    /// <summary>What <c>'now' | date</c> means. Take it from the run's log, so that a resumed run sees the same.</summary>
    public DateTimeOffset Now { get; init; }

    /// <summary>Variables of the place: <c>blackboard</c> as it is seen there, <c>item</c>, <c>index</c>, <c>iteration</c>, <c>results</c>, <c>last</c>, <c>round</c>.</summary>
    public IReadOnlyDictionary<string, JsonElement> Locals => _locals;

    /// <summary>A scope of one variable, for expressions outside of workflows.</summary>
    public static WorkflowScope Of(string name, JsonElement value) => new WorkflowScope { Inputs = default, RunId = "", Step = static _ => null }.With(name, value);

    /// <summary>The same with one more variable.</summary>
    public WorkflowScope With(string name, JsonElement value)
    {
        var scope = new WorkflowScope { Inputs = Inputs, RunId = RunId, Step = Step, Now = Now };
        foreach ((string key, JsonElement local) in _locals) scope._locals[key] = local;
        scope._locals[name] = value;
        return scope;
    }

    /// <summary>The same with a number as one more variable.</summary>
    public WorkflowScope With(string name, int value) => With(name, JsonSerializer.SerializeToElement(value));

    /// <summary>The same with other steps before the eyes: those of one item of a map.</summary>
    public WorkflowScope WithSteps(Func<string, StepResult?> step)
    {
        var scope = new WorkflowScope { Inputs = Inputs, RunId = RunId, Step = step, Now = Now };
        foreach ((string key, JsonElement local) in _locals) scope._locals[key] = local;
        return scope;
    }

    internal FluidValue Find(string name) => name switch
    {
        _ when _locals.TryGetValue(name, out JsonElement local) => JsonValues.ToFluid(local),
        ScopeNames.Inputs => JsonValues.ToFluid(Inputs),
        ScopeNames.Steps => new StepsValue(Step),
        ScopeNames.Run => new MembersValue(member => member == "id" ? new StringValue(RunId) : NilValue.Instance),
        _ => NilValue.Instance,
    };

    private sealed class StepsValue(Func<string, StepResult?> step) : MembersValue(id => step(id) is { } result ? new MembersValue(member => member switch
    {
        "output" => result.Output is { } output ? JsonValues.ToFluid(output) : NilValue.Instance,
        "status" => new StringValue(result.Status),
        "error" => result.Error is { } error ? new StringValue(error) : NilValue.Instance,
        _ => NilValue.Instance,
    }) : NilValue.Instance);
}

/// <summary>Names of variables that the platform gives.</summary>
public static class ScopeNames
{
    public const string Inputs = "inputs";
    public const string Steps = "steps";
    public const string Run = "run";
    public const string Blackboard = "blackboard";

    /// <summary>Names that a map cannot give to its items, but for <c>item</c>.</summary>
    public static IReadOnlyList<string> Reserved { get; } = [Inputs, Steps, Run, Blackboard, "item", "index", "iteration", "results", "last", "round"];
}

/// <summary>Where a template stands.</summary>
/// <param name="StepId">Empty for the workflow's own output.</param>
/// <param name="Path">In the document, e.g. <c>steps[2].message</c>.</param>
public sealed record TemplateOrigin(string StepId, string Path);

/// <summary>A template could not be evaluated: it does too much, or uses what the values do not allow.</summary>
public sealed class WorkflowTemplateException(TemplateOrigin origin, string message)
    : Exception(origin.StepId.Length == 0 ? $"{origin.Path}: {message}" : $"Step '{origin.StepId}', {origin.Path}: {message}")
{
    /// <summary>Empty for the workflow's own output.</summary>
    public string StepId => origin.StepId;

    public string Path => origin.Path;
}

/// <summary>A variable that a template uses: the first three segments of e.g. <c>steps.check.output.total</c>, as far as they are names.</summary>
internal sealed record VariableUse(string Root, string? Member, string? Third, int Offset);

/// <summary>What is wrong with a template, and at which character.</summary>
internal sealed record TemplateError(string Message, int Offset);
