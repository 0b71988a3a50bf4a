using System.Text.Json;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Reading;

/// <summary>Checks what templates refer to, when all steps are known.</summary>
internal static class VariableCheck
{
    private static readonly string[] StepMembers = ["output", "status", "error"];
    private static readonly string[] RunMembers = ["id"];

    public static void Run(ReadingContext context, JsonShape? inputs)
    {
        HashSet<string>? declared = Declared(inputs);
        Dictionary<string, StepPlace> places = [];
        foreach (StepPlace place in context.Places.Where(p => p.Id.Length > 0)) places.TryAdd(place.Id, place);
        foreach (TemplateUse use in context.Templates)
            foreach (VariableUse variable in use.Uses)
                if (Check(variable, use, places, declared, context.Blackboard) is { } problem)
                {
                    (int line, int column) = use.Node.PlaceOf(variable.Offset);
                    context.Problems.Add(new WorkflowProblem(line, column, use.Path, problem.Code, problem.Message));
                }
    }

    private static (string Code, string Message)? Check(VariableUse variable, TemplateUse use, Dictionary<string, StepPlace> places, HashSet<string>? inputs, IReadOnlyDictionary<string, BlackboardEntry> blackboard)
    {
        string root = variable.Root;
        if (use.Locals.Contains(root)) return null;
        switch (root)
        {
            case ScopeNames.Inputs:
                return inputs is null || variable.Member is not { } input || inputs.Contains(input) || input is "size"
                    ? null : (ProblemCodes.UnknownVariable, $"'{input}' is not declared in 'inputs'.{Suggestion.For(input, inputs)}");
            case ScopeNames.Run:
                return variable.Member is not { } member || RunMembers.Contains(member) ? null : (ProblemCodes.UnknownVariable, $"'run' has no '{member}', only: {string.Join(", ", RunMembers)}.");
            case ScopeNames.Blackboard:
                return blackboard.Count == 0 ? (ProblemCodes.UnknownVariable, "The workflow declares no 'blackboard'.")
                    : variable.Member is not { } entry || blackboard.ContainsKey(entry) ? null : (ProblemCodes.UnknownVariable, $"'{MemberReader.Shown(entry)}' is not declared in 'blackboard'.{Suggestion.For(entry, blackboard.Keys)}");
            case ScopeNames.Steps:
                break;
            default:
                return ScopeNames.Reserved.Contains(root) || root is "item" or "iteration"
                    ? (ProblemCodes.UnknownVariable, $"'{root}' is not at hand here.")
                    : (ProblemCodes.UnknownVariable, $"There is no variable '{MemberReader.Shown(root)}'.{Suggestion.For(root, [ScopeNames.Inputs, ScopeNames.Steps, ScopeNames.Run, .. use.Locals])}");
        }
        if (variable.Member is not { } id) return null;
        if (!places.TryGetValue(id, out StepPlace? target)) return (ProblemCodes.UnknownStep, $"There is no step '{MemberReader.Shown(id)}'.{Suggestion.For(id, places.Keys)}");
        if (variable.Third is { } part && !StepMembers.Contains(part)) return (ProblemCodes.UnknownVariable, $"A step has no '{MemberReader.Shown(part)}', only: {string.Join(", ", StepMembers)}.");
        return Unavailable(target, use) is { } why ? (ProblemCodes.StepNotAvailable, why) : null;
    }

    // Why a step's output can never be there at the place of the template.
    private static string? Unavailable(StepPlace target, TemplateUse use)
    {
        if (target.Undoes is not null) return $"'{target.Id}' is a compensation: it runs after everything else.";
        StepPlace? here = use.Place;
        for (StepPlace? around = target.Parent; around is not null; around = around.Parent)
            if (around.Type == "map" && !(here is not null && (here.IsInside(around) || here.Undoes?.IsInside(around) == true)))
                return around == here && use.After ? "Use 'results', the list of the outputs." : $"'{target.Id}' runs once for each item of '{around.Id}'. Use 'steps.{around.Id}.output', the list of the results.";
        if (here is null) return null;
        if (here.Undoes is { } undone) return target == undone || target.Order < undone.Order && !undone.IsInside(target) ? null : $"'{target.Id}' may not have run when '{undone.Id}' is undone.";
        for (StepPlace? around = here; around is not null; around = around.Parent)
        {
            // In a loop, what comes later has run in the iteration before.
            if (around.Type == "loop" && target.IsInside(around) && (around != here || use.After)) return null;
            if (around == here && use.After && target.IsInside(here)) return null;
        }
        if (target == here) return "A step cannot use its own output.";
        if (here.IsInside(target)) return $"'{target.Id}' is not done before this step is.";
        if (target.Order > here.Order) return $"'{target.Id}' comes later.";
        return Apart(target, here);
    }

    // Steps of different blocks of the same step: only one case of a switch runs, and branches run at the same time.
    private static string? Apart(StepPlace target, StepPlace here)
    {
        for (StepPlace t = target; t.Parent is { } container; t = container)
        {
            if (!here.IsInside(container)) continue;
            StepPlace h = here;
            while (h.Parent != container) h = h.Parent!;
            if (h.Block == t.Block) return null;
            return container.Type == "switch" ? $"'{target.Id}' is in another case of '{container.Id}'." : $"'{target.Id}' is in another branch of '{container.Id}', which runs at the same time.";
        }
        return null;
    }

    // What the schema declares is all there is, unless it says that there may be more.
    private static HashSet<string>? Declared(JsonShape? inputs)
    {
        if (inputs?.Source is not { } schema || !schema.TryGetProperty("properties", out JsonElement properties) || properties.ValueKind != JsonValueKind.Object) return null;
        bool open = schema.TryGetProperty("additionalProperties", out JsonElement more) && more.ValueKind != JsonValueKind.False || schema.TryGetProperty("patternProperties", out _) || schema.TryGetProperty("allOf", out _) || schema.TryGetProperty("anyOf", out _) || schema.TryGetProperty("oneOf", out _);
        return open ? null : [.. properties.EnumerateObject().Select(p => p.Name)];
    }
}
