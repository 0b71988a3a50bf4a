using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Errors;
using Xunit;

namespace MultiAgent.Hosting.Tests.Api;

public sealed class PageTests
{
    [Fact]
    public void From_OneItemMoreThanTheLimit_HasACursorToTheLastShown()
    {
        Page<string> page = Page<string>.From(["a", "b", "c"], 2, x => x);
        Assert.Equal(["a", "b"], page.Data);
        Assert.Equal("b", Cursor.Decode(page.NextCursor!));
    }

    [Fact]
    public void From_ExactlyTheLimit_IsTheEnd() => Assert.Null(Page<string>.From(["a", "b"], 2, x => x).NextCursor);

    [Theory]
    [InlineData("")]
    [InlineData("usr_0123 äöü/😀")]
    public void Cursor_GoesRound(string position) => Assert.Equal(position, Cursor.Decode(Cursor.Encode(position)));

    [Theory]
    [InlineData("!")]
    [InlineData("a")]
    [InlineData("_w")]
    [InlineData("ä")]
    public void Cursor_ThatIsNone_Is400(string cursor)
    {
        ApiException e = Assert.Throws<ApiException>(() => PageRequest.Of(null, cursor));
        Assert.Equal((400, "validation_failed", "cursor"), (e.Status, e.Code, e.Param));
    }

    [Fact]
    public void Cursor_TooLong_Is400() => Assert.Throws<ApiException>(() => Cursor.Decode(new string('a', 516)));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(201)]
    public void Limit_OutOfRange_Is400(int limit) => Assert.Equal(400, Assert.Throws<ApiException>(() => PageRequest.Of(limit, null)).Status);

    [Fact]
    public void Limit_LeftOut_IsFifty() => Assert.Equal(new PageRequest(50, null), PageRequest.Of(null, ""));
}
