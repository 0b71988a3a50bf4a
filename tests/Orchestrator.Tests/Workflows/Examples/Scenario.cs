using System.Text.Json;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>A way through an example workflow, and what has to come of it.</summary>
internal sealed record Scenario(string Name, string Workflow)
{
    /// <summary>JSON; the shop's address is added where the workflow takes one.</summary>
    public required string Inputs { get; init; }

    /// <summary>Bodies of decisions by the step that asks.</summary>
    public Dictionary<string, object> People { get; init; } = [];

    /// <summary>Names and data of events by the step that waits for them; their key is the run's id.</summary>
    public Dictionary<string, (string Name, object? Data)> Events { get; init; } = [];

    /// <summary>The run is cancelled once this step waits.</summary>
    public string? CancelAt { get; init; }

    public string Status { get; init; } = "completed";

    /// <summary>Code of the error.</summary>
    public string? Error { get; init; }

    /// <summary>JSON, with <c>{run}</c> in the place of the run's id; null: none.</summary>
    public string? Output { get; init; }

    /// <summary>Method and path of each change at the shop, in order; those that are made side by side in any.</summary>
    public string[] Effects { get; init; } = [];

    /// <summary>Questions: step, role that may answer, decision.</summary>
    public string[] Asked { get; init; } = [];

    /// <summary>Runs of agents that were completed; null: chance has a say in it.</summary>
    public int? Agents { get; init; }

    /// <summary>Steps that were begun, compensations included; null: chance has a say in it.</summary>
    public int? Steps { get; init; }

    /// <summary>Paths of compensations that were carried out.</summary>
    public string[] Undone { get; init; } = [];

    // Of the patterns none does.
    private bool TakesShop => MultiAgent.Orchestrator.Workflows.Definitions.ExampleWorkflows.All.Any(e => e.Slug == Workflow && e.Source.Contains("\n    api: ", StringComparison.Ordinal));

    public override string ToString() => $"{Workflow}: {Name}";

    public object Body(string shop)
    {
        var inputs = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(Inputs)!;
        if (TakesShop) inputs["api"] = JsonSerializer.SerializeToElement(shop);
        return new { workflow = Workflow, inputs };
    }
}
