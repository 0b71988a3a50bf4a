using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Compaction;

namespace MultiAgent.Orchestrator.Tests.Conversations.Compaction;

/// <summary>Which messages a summary takes the place of.</summary>
public sealed class CompactionPlanTests
{
    [Theory]
    // Letters are roles (s, u, a; c is an assistant that calls, t a result), capitals are stored, small ones the run's own.
    [InlineData("UAUAu", 1, 4, 4, 4, 0, "u")]
    [InlineData("UAUAu", 3, 2, 2, 2, 0, "UAu")]
    [InlineData("UAUAu", 5, 0, 0, 0, 0, "UAUAu")]
    [InlineData("UAUAu", 200, 0, 0, 0, 0, "UAUAu")]
    // A result does not lose its call.
    [InlineData("UACTTu", 2, 2, 2, 2, 0, "CTTu")]
    [InlineData("UACTTu", 3, 2, 2, 2, 0, "CTTu")]
    [InlineData("UACTTu", 1, 5, 5, 5, 0, "u")]
    // System messages stay and are not told of.
    [InlineData("SUASUAu", 1, 4, 4, 6, 0, "SSu")]
    // The user's last message stays, also before the cut.
    [InlineData("UAuctctct", 2, 7, 6, 2, 5, "uct")]
    [InlineData("uctct", 1, 3, 2, 0, 3, "uct")]
    [InlineData("u", 1, 0, 0, 0, 0, "u")]
    [InlineData("", 1, 0, 0, 0, 0, "")]
    [InlineData("s", 1, 0, 0, 0, 0, "s")]
    public void Plan_LeavesWhatBelongsTogether(string roles, int keep, int told, int replaced, long through, int own, string left)
    {
        List<ChatMessage> messages = Messages(roles);

        CompactionPlan plan = CompactionPlan.Of(messages, keep);
        CompactionPlan.Apply(messages, plan.Through, plan.Own);

        Assert.Equal((told, replaced, through, own), (plan.Told.Count, plan.Replaced, plan.Through, plan.Own));
        Assert.Equal(left, new string([.. messages.Select(Letter)]));
    }

    [Theory]
    [InlineData("""{"role":"user","content":"Hi"}""", "user: Hi")]
    [InlineData("""{"role":"user","content":[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":"data:x"}}]}""", "user: See\n[image_url]")]
    [InlineData("""{"role":"assistant","content":"Wait.","tool_calls":[{"id":"c","function":{"name":"pay","arguments":"{\"n\":1}"}},{"id":"d","function":{"name":"look","arguments":"{}"}}]}""", "assistant: Wait.\nassistant called pay: {\"n\":1}\nassistant called look: {}")]
    [InlineData("""{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"pay","arguments":"{}"}}]}""", "assistant called pay: {}")]
    [InlineData("""{"role":"tool","tool_call_id":"c","content":"42"}""", "result: 42")]
    [InlineData("""{"role":"assistant","content":""}""", "")]
    [InlineData("""{"role":"assistant","content":7,"tool_calls":"no"}""", "")]
    public void Transcript_OfAMessage_IsWhatAPersonWouldRead(string message, string expected) => Assert.Equal(expected, Transcript.Of(ChatMessage.Parse(System.Text.Encoding.UTF8.GetBytes(message))));

    [Fact]
    public void Transcript_OfALargeResult_IsCutBetweenCharacters()
    {
        string text = Transcript.Of(ChatMessage.ToolResult("c", new string('x', 3999) + "😀" + new string('y', 100)));

        Assert.Equal($"result: {new string('x', 3999)} [cut]", text);
    }

    private static List<ChatMessage> Messages(string roles) => [.. roles.Select((r, i) => (char.ToLowerInvariant(r) switch
    {
        's' => ChatMessage.Of(ChatRole.System, $"{i}"),
        'u' => ChatMessage.Of(ChatRole.User, $"{i}"),
        'c' => ChatMessage.Assistant(default, [new ToolCall($"c{i}", "t", "{}")]),
        't' => ChatMessage.ToolResult("c", $"{i}"),
        _ => ChatMessage.Assistant("x"u8, []),
    }) with { Position = char.IsUpper(r) ? i + 1 : 0 })];

    private static char Letter(ChatMessage message)
    {
        char letter = message.Role switch { ChatRole.System => 's', ChatRole.User => 'u', ChatRole.Tool => 't', _ => message.HasToolCalls ? 'c' : 'a' };
        return message.Position > 0 ? char.ToUpperInvariant(letter) : letter;
    }
}
