using System.Globalization;
using MultiAgent.Orchestrator.Agents;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What the user reads when a run stops at a bound.</summary>
internal static class StopNotes
{
    public static string Of(string reason, CompiledAgent agent) => reason switch
    {
        "max_steps" => $"I stopped here: this run reached its limit of {agent.MaxSteps} steps.",
        "max_tokens" => $"I stopped here: this run reached its limit of {agent.Spec.Limits?.MaxTokens} tokens.",
        "max_cost" => string.Create(CultureInfo.InvariantCulture, $"I stopped here: this run reached its limit of {agent.Spec.Limits?.MaxCostUsd} US dollars."),
        "cost_unknown" => "I stopped here: this agent has a limit of cost, and the price of the model that it uses is not known.",
        "max_seconds" => $"I stopped here: this run reached its limit of {agent.MaxTime.TotalSeconds:0} seconds.",
        CallGuard.Repeated => "I stopped here: I was calling the same tool with the same arguments again and again.",
        CallGuard.Oscillation => "I stopped here: I was going back and forth between the same two tool calls.",
        CallGuard.NoProgress => "I stopped here: I asked the same again and again and got the same answer.",
        _ => "I stopped here.",
    };
}
