using System.Text.Json;
using Microsoft.AspNetCore.Http;
using MultiAgent.Orchestrator.Tests.Support;
using FakeProvider = MultiAgent.Testing.FakeProvider;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>What the agents of the examples say. It depends on what they are asked and on nothing else: a question that is asked again gets the same answer.</summary>
internal static class ScriptedModel
{
    private const string Extracted = """{"summary":"Something burns.","language":"en","people":["Ana"],"dates":[],"amounts":[]}""";

    // Looked through in order.
    private static readonly (string[] Holds, string Says)[] Script =
    [
        (["Does the answer settle the question?", "moon"], "NO"),
        (["Does the answer settle the question?"], "Yes."),
        (["How urgent is this message", "burns"], "high"),
        (["How urgent is this message"], "NORMAL"),
        (["likely is it that this person buys", "now, please"], "HOT"),
        (["likely is it that this person buys", "no thanks"], "cold"),
        (["likely is it that this person buys"], "Who knows?"),
        (["What does the visitor want?", "puzzling"], "apples"),
        (["Is this a QUESTION", "puzzling"], "pears"),
        (["Sort this message into", "puzzling"], "plums"),
        (["What does the visitor want?", "my parcel"], "ORDER"),
        (["Is this a QUESTION", "my parcel"], "order."),
        (["Sort this message into", "my parcel"], "PROBLEM"),
        (["Make a plan of at most", "FAILED"], """["ask for a photo"]"""),
        (["Make a plan of at most"], """Here it is: ["look at the cable", "look at the light"]"""),
        (["Your task: look at the light"], "!"),
        (["Your task: "], "done"),
        (["Give the final answer."], "Try another cable."),
        (["Give the first thing to try."], "Pull the plug."),
        (["Give the next thing to try."], "Press the button."),
        (["These answers were given"], "A voucher is fair."),
        (["You lead a talk between", "support: "], "DONE"),
        (["You lead a talk between"], "support"),
        (["HANDOFF: and its name alone", "There are: assistant."], "Not mine to answer.\nHANDOFF: assistant"),
        (["YES or NO", "One word"], "NO"),
        (["YES or NO"], "YES"),
        (["Make this shorter"], "Hi!"),
        (["Make one answer of these"], "Both are right."),
        (["Summarise these in one sentence"], "All of it burns."),
        (["Write down what came of this talk"], "Nothing came of it."),
        (["When do you open"], "We open at nine."),
        (["Answer from these notes"], "Both have a point."),
    ];

    /// <summary>The answer to the last message of a conversation; null: the provider refuses the request.</summary>
    public static FakeAnswer? Answer(JsonElement messages)
    {
        string system = messages[0].GetProperty("role").GetString() == "system" ? messages[0].GetProperty("content").GetString()! : "";
        if (system.StartsWith("Extract what the text says", StringComparison.Ordinal)) return FakeAnswer.Says(Extracted);
        JsonElement last = messages[messages.GetArrayLength() - 1];
        string asked = last.GetProperty("content").GetString()!;
        if (system.StartsWith("You take notes", StringComparison.Ordinal))
            return last.GetProperty("role").GetString() == "tool" ? FakeAnswer.Says("Noted.")
                : new FakeAnswer { Calls = [("note_1", "blackboard_write", JsonSerializer.Serialize(new { name = "notes", value = asked })), ("note_2", "blackboard_write", """{"name":"weight","value":2}""")] };
        if (system.StartsWith("You supervise", StringComparison.Ordinal))
            return last.GetProperty("role").GetString() != "tool" ? new FakeAnswer { Calls = [("ask_1", "agent__support", """{"message":"When do you open?"}"""), ("ask_2", "agent__assistant", """{"message":"Make this shorter: Good morning!"}""")] }
                : FakeAnswer.Says(string.Join(' ', messages.EnumerateArray().Where(m => m.GetProperty("role").GetString() == "tool").OrderBy(m => m.GetProperty("tool_call_id").GetString(), StringComparer.Ordinal).Select(m => m.GetProperty("content").GetString())));
        string says = Script.FirstOrDefault(s => s.Holds.All(h => asked.Contains(h, StringComparison.Ordinal))).Says ?? "Hello there.";
        return says == "!" ? null : FakeAnswer.Says(says);
    }

    public static void AnswerAsScripted(this FakeDispatcher model) => model.Default = static (request, _) => Task.FromResult(
        Answer(request.Body.GetProperty("messages")) ?? new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"Not with this light."}}""" });

    /// <summary>The same from a provider over HTTP.</summary>
    public static Task AnswerAsync(HttpContext http, JsonElement request) => Answer(request.GetProperty("messages")) switch
    {
        null => FakeProvider.Error(400)(http),
        { Calls.Length: > 0 } calling => http.Response.WriteAsJsonAsync(new
        {
            id = "chatcmpl-1",
            @object = "chat.completion",
            created = 1700000000,
            model = request.GetProperty("model").GetString(),
            choices = new[]
            {
                new
                {
                    index = 0, finish_reason = "tool_calls",
                    message = new { role = "assistant", content = (string?)null, tool_calls = calling.Calls.Select(c => new { id = c.Id, type = "function", function = new { name = c.Name, arguments = c.Arguments } }) },
                },
            },
            usage = new { prompt_tokens = 11, completion_tokens = 7, total_tokens = 18 },
        }),
        { } answer => FakeProvider.AnswerAsync(http, string.Concat(answer.Pieces)),
    };
}
