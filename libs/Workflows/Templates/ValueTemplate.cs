using System.Text.Json;
using Fluid;
using Fluid.Ast;
using Fluid.Values;
using MultiAgent.Workflows.Reading;

namespace MultiAgent.Workflows.Templates;

/// <summary>
/// JSON whose strings may hold Liquid. A string that is exactly one <c>{{ expression }}</c> becomes the value of that expression with its type: a number, an object,
/// a list, null; any other string with Liquid becomes text.
/// </summary>
public sealed class ValueTemplate
{
    private const int MaxBytes = 4_000_000;

    private readonly Part _part;

    private ValueTemplate(Part part, JsonElement? constant)
    {
        _part = part;
        Constant = constant;
    }

    /// <summary>A stand-in for what could not be read.</summary>
    public static ValueTemplate Null { get; } = Of(JsonSerializer.SerializeToElement<object?>(null));

    /// <summary>The value, when it is the same in every scope.</summary>
    public JsonElement? Constant { get; }

    /// <summary>The value in a scope.</summary>
    /// <exception cref="WorkflowTemplateException">It could not be made.</exception>
    public JsonElement Evaluate(WorkflowScope scope)
    {
        if (Constant is { } constant) return constant;
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream)) _part.Write(json, scope);
        using var document = JsonDocument.Parse(stream.GetBuffer().AsMemory(0, (int)stream.Length), new JsonDocumentOptions { MaxDepth = 256 });
        return document.RootElement.Clone();
    }

    internal delegate TextTemplate? Keep(TextTemplate? template, TemplateError? error, SourceNode node, string path, List<VariableUse> uses);

    internal static ValueTemplate Read(SourceNode node, string stepId, string path, Keep keep)
    {
        Part part = PartOf(node, stepId, path, keep);
        return part is ConstantPart constant ? Of(constant.Value) : new ValueTemplate(part, null);
    }

    private static ValueTemplate Of(JsonElement constant) => new(new ConstantPart(constant), constant);

    private static Part PartOf(SourceNode node, string stepId, string path, Keep keep)
    {
        switch (node.Kind)
        {
            case JsonValueKind.String when TextTemplate.HasTags(node.Text):
                var uses = new List<VariableUse>();
                var origin = new TemplateOrigin(stepId, path);
                if (keep(TextTemplate.TryParse(node.Text, origin, uses, out TemplateError? error), error, node, path, uses) is not { } template) return new ConstantPart(default);
                return template.SingleExpression is { } expression ? new TypedPart(expression, origin) : new TextPart(template);
            case JsonValueKind.Array:
                Part[] items = [.. node.Items.Select((item, i) => PartOf(item, stepId, $"{path}[{i}]", keep))];
                return items.All(i => i is ConstantPart) ? new ConstantPart(node.ToJson()) : new ListPart(items);
            case JsonValueKind.Object:
                (string Name, Part Value)[] members = [.. node.Members.Select(m => (m.Name, PartOf(m.Value, stepId, $"{path}.{m.Name}", keep)))];
                return members.All(m => m.Value is ConstantPart) ? new ConstantPart(node.ToJson()) : new MapPart(members);
            default:
                return new ConstantPart(node.ToJson());
        }
    }

    private abstract record Part
    {
        public abstract void Write(Utf8JsonWriter json, WorkflowScope scope);

        protected static void Check(Utf8JsonWriter json, TemplateOrigin origin)
        {
            if (json.BytesCommitted + json.BytesPending > MaxBytes) throw new WorkflowTemplateException(origin, $"the value is larger than {MaxBytes} bytes.");
        }
    }

    private sealed record ConstantPart(JsonElement Value) : Part
    {
        public override void Write(Utf8JsonWriter json, WorkflowScope scope) => Value.WriteTo(json);
    }

    private sealed record TextPart(TextTemplate Template) : Part
    {
        public override void Write(Utf8JsonWriter json, WorkflowScope scope)
        {
            json.WriteStringValue(Template.Evaluate(scope));
            Check(json, Template.Origin);
        }
    }

    private sealed record TypedPart(Expression Expression, TemplateOrigin Origin) : Part
    {
        public override void Write(Utf8JsonWriter json, WorkflowScope scope)
        {
            Liquid.Run(Origin, () =>
            {
                TemplateContext context = Liquid.Open(scope);
                FluidValue value = Liquid.Complete(Expression.EvaluateAsync(context));
                JsonValues.Write(value, json, context);
                return true;
            });
            Check(json, Origin);
        }
    }

    private sealed record ListPart(Part[] Items) : Part
    {
        public override void Write(Utf8JsonWriter json, WorkflowScope scope)
        {
            json.WriteStartArray();
            foreach (Part item in Items) item.Write(json, scope);
            json.WriteEndArray();
        }
    }

    private sealed record MapPart((string Name, Part Value)[] Members) : Part
    {
        public override void Write(Utf8JsonWriter json, WorkflowScope scope)
        {
            json.WriteStartObject();
            foreach ((string name, Part value) in Members)
            {
                json.WritePropertyName(name);
                value.Write(json, scope);
            }
            json.WriteEndObject();
        }
    }
}
