using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Calculator;

/// <summary>Evaluates arithmetic, which models are bad at.</summary>
internal sealed class CalculatorTool : ITool
{
    public string Name => "calculator";

    public string Description =>
        "Evaluates an arithmetic expression exactly where possible. Supports + - * / % ^, parentheses, the constants pi and e, and the functions " +
        "sqrt, abs, min, max, round(x, digits), floor, ceil, sin, cos, tan, ln, log10, exp, pow.";

    public string ParametersSchema => """{"type":"object","properties":{"expression":{"type":"string","description":"e.g. (3 + 4) * 2^3","minLength":1,"maxLength":1000}},"required":["expression"],"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.None;

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        try
        {
            return Task.FromResult<ToolResult>(Expression.Evaluate(arguments.GetProperty("expression").GetString()!).ToString());
        }
        catch (ExpressionException e)
        {
            throw new ToolException(e.Message);
        }
    }
}
