using System.Text.Json;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows.Reading;

/// <summary>Reads lists of steps: what all types have in common, and then what the type says.</summary>
internal static class StepListReader
{
    public static IReadOnlyList<Step> Read(SourceNode list, string path, ReadingContext context, StepPlace? parent, string? block)
    {
        var steps = new List<Step>();
        if (context.Nesting >= ReadingContext.MaxNesting)
        {
            context.Add(list, path, ProblemCodes.TooDeep, $"Steps may be nested {ReadingContext.MaxNesting} deep.");
            return steps;
        }
        context.Nesting++;
        for (int i = 0; i < list.Items.Count; i++)
            if (One(list.Items[i], $"{path}[{i}]", context, parent, block, undoes: null) is { } step) steps.Add(step);
        context.Nesting--;
        return steps;
    }

    private static Step? One(SourceNode node, string path, ReadingContext context, StepPlace? parent, string? block, StepPlace? undoes)
    {
        if (++context.Count > ReadingContext.MaxSteps)
        {
            if (context.Count == ReadingContext.MaxSteps + 1) context.Add(node, path, ProblemCodes.TooManySteps, $"A workflow may have {ReadingContext.MaxSteps} steps.");
            return null;
        }
        if (node.Kind != JsonValueKind.Object)
        {
            context.Add(node, path, ProblemCodes.WrongType, "must be a step: an object with 'id' and 'type'.");
            return null;
        }
        var probe = new MemberReader(node, path, context);
        string id = undoes is not null && !probe.Has("id") ? $"undo_{undoes.Id}" : probe.Id("id");
        string? typeName = probe.Text("type", required: true);
        StepType? type = typeName is null ? null : context.Types.Find(typeName);
        if (typeName is not null && type is null)
            probe.Problem("type", ProblemCodes.UnknownStepType, $"There is no step type '{MemberReader.Shown(typeName)}'.{Suggestion.For(typeName, context.Types.All.Select(t => t.Name))}");
        if (undoes is not null && type is not null && type.Kind != StepKind.Leaf)
            probe.Problem("type", ProblemCodes.InvalidValue, $"A compensation is one of {string.Join(", ", context.Types.All.Where(t => t.Kind == StepKind.Leaf).Select(t => t.Name))}.");

        var place = new StepPlace { Id = id, Type = typeName ?? "", Parent = parent, Block = block, Undoes = undoes, Order = context.Places.Count, Line = node.Line };
        StepPlace? twin = id.Length == 0 ? null : context.Places.Find(p => p.Id == id);
        if (twin is not null) probe.Problem("id", ProblemCodes.DuplicateId, $"There is a step '{id}' already, in line {twin.Line}.");
        context.Places.Add(place);
        place.Last = place.Order;

        var head = new StepHead { Id = id, Type = typeName ?? "", Line = node.Line, Column = node.Column };
        var reader = new StepReader(node, path, context, place, head);
        reader.Has("id");
        reader.Has("type");
        reader.Head = head = head with { When = reader.Has("when") ? reader.Condition("when") : null, Policy = Policy(reader), Set = reader.Writes("set") };
        if (reader.Find("compensate", required: false, "a step", JsonValueKind.Object) is { } compensate)
        {
            if (undoes is not null) reader.Problem("compensate", ProblemCodes.InvalidValue, "A compensation cannot have one itself.");
            else reader.Head = head with { Compensate = One(compensate, $"{path}.compensate", context, parent, block, place) };
        }
        if (type is null) return null;
        Step step = type.Read(reader);
        place.Last = context.Places.Count - 1;
        reader.Finish();
        if (twin is null && id.Length > 0) context.Steps[id] = step;
        return step;
    }

    private static StepPolicy Policy(StepReader reader)
    {
        RetryPolicy? retry = reader.Object("retry", r => new RetryPolicy
        {
            Attempts = r.Integer("attempts", 1, 20, required: true) ?? 1,
            Delay = r.Seconds("delaySeconds", 0, 86_400) ?? RetryPolicy.None.Delay,
            Factor = r.Number("factor", 1, 10) ?? RetryPolicy.None.Factor,
            MaxDelay = r.Seconds("maxDelaySeconds", 0, 86_400) ?? RetryPolicy.None.MaxDelay,
        });
        return new StepPolicy
        {
            Retry = retry ?? RetryPolicy.None,
            Timeout = reader.Seconds("timeoutSeconds", 0.1, StepReader.LongestWait),
            Budget = reader.Object("budget", b => new StepBudget(b.Long("maxTokens", 1, 1_000_000_000), b.Money("maxCostUsd"))),
            OnError = reader.OneOf("onError", ("fail", ErrorAction.Fail), ("continue", ErrorAction.Continue)),
        };
    }
}
