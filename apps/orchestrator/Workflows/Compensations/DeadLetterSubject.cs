using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>What a compensation was to do, for the person who has to do it now.</summary>
internal static class DeadLetterSubject
{
    // More is read from the run's log.
    private const int MaxPart = 64 * 1024;

    /// <param name="undo">The compensation.</param>
    /// <param name="scope">The variables at its place.</param>
    /// <param name="output">What the step gave that was to be undone.</param>
    public static string Of(Step undo, WorkflowScope scope, JsonElement? output)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Json.WriterOptions))
        {
            json.WriteStartObject();
            switch (undo)
            {
                case ToolStep tool:
                    json.WriteString("tool"u8, tool.Tool);
                    Write(json, "arguments", () => tool.Arguments?.Evaluate(scope));
                    break;
                case AgentStep agent:
                    json.WriteString("agent"u8, agent.Agent.ToString());
                    Write(json, "message", () => JsonSerializer.SerializeToElement(agent.Message.Evaluate(scope)));
                    break;
                case HumanStep human:
                    Write(json, "title", () => JsonSerializer.SerializeToElement(human.Title.Evaluate(scope)));
                    break;
                case SubworkflowStep sub:
                    json.WriteString("workflow"u8, sub.Workflow.ToString());
                    Write(json, "inputs", () => sub.Inputs?.Evaluate(scope));
                    break;
            }
            Write(json, "output", () => output);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, string name, Func<JsonElement?> value)
    {
        try
        {
            if (value() is not { } part) return;
            if (part.GetRawText().Length > MaxPart)
            {
                json.WriteBoolean($"{name}Omitted", true);
                return;
            }
            json.WritePropertyName(name);
            part.WriteTo(json);
        }
        catch (WorkflowTemplateException)
        {
            // That it cannot be evaluated is why the compensation failed.
        }
    }
}
