using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows;

/// <summary>
/// The JSON Schema (draft 7) of workflows, composed of the fragments of the types of steps. It is for editors and for clients; <see cref="WorkflowReader"/> checks the
/// same and more, and tells the place.
/// </summary>
public static class WorkflowSchema
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n" };

    /// <summary>The schema for the platform's own types of steps.</summary>
    public static string Text { get; } = Compose(StepTypes.Default);

    public static string Compose(StepTypes types)
    {
        JsonObject schema = JsonNode.Parse(Frame)!.AsObject();
        JsonObject definitions = schema["definitions"]!.AsObject();
        JsonObject common = JsonNode.Parse(Common)!.AsObject();
        foreach (StepType type in types.All)
        {
            definitions[$"{type.Name}_step"] = Step(type, common, compensation: false);
            if (type.Kind == StepKind.Leaf) definitions[$"{type.Name}_compensation"] = Step(type, common, compensation: true);
        }
        definitions["step"] = OneOf(types.All.Select(t => $"{t.Name}_step"));
        definitions["compensation"] = OneOf(types.All.Where(t => t.Kind == StepKind.Leaf).Select(t => $"{t.Name}_compensation"));
        return schema.ToJsonString(Indented) + "\n";
    }

    private static JsonObject Step(StepType type, JsonObject common, bool compensation)
    {
        JsonObject own = JsonNode.Parse(type.Schema)!.AsObject();
        var properties = new JsonObject { ["id"] = Reference("id"), ["type"] = new JsonObject { ["enum"] = new JsonArray(type.Name) } };
        foreach ((string name, JsonNode? value) in common)
            if (!compensation || name != "compensate") properties[name] = value!.DeepClone();
        foreach ((string name, JsonNode? value) in own["properties"]!.AsObject()) properties[name] = value!.DeepClone();
        JsonArray required = compensation ? ["type"] : ["id", "type"];
        foreach (JsonNode? name in own["required"]?.AsArray() ?? []) required.Add(name!.DeepClone());
        var step = new JsonObject { ["type"] = "object", ["additionalProperties"] = false, ["required"] = required, ["properties"] = properties };
        foreach ((string name, JsonNode? value) in own)
            if (name is not ("properties" or "required")) step[name] = value!.DeepClone();
        return step;
    }

    private static JsonObject OneOf(IEnumerable<string> definitions) => new() { ["oneOf"] = new JsonArray([.. definitions.Select(JsonNode (d) => Reference(d))]) };

    private static JsonObject Reference(string definition) => new() { ["$ref"] = $"#/definitions/{definition}" };

    private const string Frame = """
        {
          "$schema": "http://json-schema.org/draft-07/schema#",
          "title": "Workflow of the Multi-AI-Agent Platform, maap/v1",
          "type": "object",
          "additionalProperties": false,
          "required": ["apiVersion", "kind", "name", "steps"],
          "properties": {
            "apiVersion": {"enum": ["maap/v1"]},
            "kind": {"enum": ["Workflow"]},
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$", "description": "The slug; unique in the tenant."},
            "description": {"type": "string", "maxLength": 2000},
            "inputs": {"$ref": "#/definitions/schema", "description": "JSON schema of the inputs."},
            "output": {"$ref": "#/definitions/value", "description": "The result; without it, the output of the last step."},
            "outputSchema": {"$ref": "#/definitions/schema", "description": "JSON schema of the result."},
            "blackboard": {"type": "object", "maxProperties": 100, "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"}, "description": "What the run's steps and agents share, by name.", "additionalProperties": {"$ref": "#/definitions/entry"}},
            "limits": {"type": "object", "additionalProperties": false, "description": "Bounds of one run.", "properties": {
              "maxSteps": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 1000},
              "maxTokens": {"type": "integer", "minimum": 1, "maximum": 1000000000},
              "maxCostUsd": {"type": "number", "minimum": 0.000001, "maximum": 100000},
              "maxSeconds": {"type": "integer", "minimum": 1, "maximum": 31622400}
            }},
            "steps": {"$ref": "#/definitions/steps"}
          },
          "definitions": {
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"},
            "text": {"type": "string", "description": "Text; may hold Liquid templates."},
            "value": {"description": "Any JSON; strings may hold Liquid templates. A string that is one '{{ expression }}' becomes the value with its type."},
            "values": {"type": "object", "description": "Values by name; strings may hold Liquid templates."},
            "condition": {"type": ["string", "boolean"], "maxLength": 4000, "description": "A Liquid expression without braces, e.g. inputs.total > 100 and inputs.vip."},
            "reference": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}(@[A-Za-z0-9_-]{1,32})?$"},
            "schema": {"type": "object", "description": "A JSON schema."},
            "entry": {"type": "object", "additionalProperties": false, "required": ["schema"], "properties": {
              "schema": {"$ref": "#/definitions/schema", "description": "What the value must look like after each write."},
              "merge": {"enum": ["replace", "append", "sum", "max", "min", "merge"], "default": "replace", "description": "How a write goes together with what is there."},
              "initial": {"description": "The value before the first write."},
              "description": {"type": "string", "maxLength": 1000, "description": "For agents."}
            }},
            "role": {"enum": ["owner", "admin", "developer", "analyst", "viewer"]},
            "steps": {"type": "array", "minItems": 1, "maxItems": 500, "items": {"$ref": "#/definitions/step"}}
          }
        }
        """;

    private const string Common = """
        {
          "when": {"$ref": "#/definitions/condition", "description": "The step is skipped when it is false."},
          "retry": {"type": "object", "additionalProperties": false, "required": ["attempts"], "properties": {
            "attempts": {"type": "integer", "minimum": 1, "maximum": 20, "description": "The first included."},
            "delaySeconds": {"type": "number", "minimum": 0, "maximum": 86400, "default": 1},
            "factor": {"type": "number", "minimum": 1, "maximum": 10, "default": 2},
            "maxDelaySeconds": {"type": "number", "minimum": 0, "maximum": 86400, "default": 60}
          }},
          "timeoutSeconds": {"type": "number", "minimum": 0.1, "maximum": 31622400, "description": "For one attempt."},
          "budget": {"type": "object", "additionalProperties": false, "properties": {
            "maxTokens": {"type": "integer", "minimum": 1, "maximum": 1000000000},
            "maxCostUsd": {"type": "number", "minimum": 0.000001, "maximum": 100000}
          }},
          "onError": {"enum": ["fail", "continue"], "default": "fail"},
          "set": {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"}, "description": "Written to the blackboard once the step is done, by entry; output is at hand.", "additionalProperties": {"$ref": "#/definitions/value"}},
          "compensate": {"$ref": "#/definitions/compensation", "description": "Undoes the step when a later one fails for good."}
        }
        """;
}
