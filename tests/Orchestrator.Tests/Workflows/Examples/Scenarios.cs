namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>Every example, on its ways to the end.</summary>
internal static class Scenarios
{
    public static readonly Scenario[] All =
    [
        new("an answer of the agent", "faq")
        {
            Inputs = """{"question": "When do you open?"}""",
            Output = """{"answer":"We open at nine.","by":"agent"}""",
            Agents = 2, Steps = 5,
        },
        new("a question for a person", "faq")
        {
            Inputs = """{"question": "Do you deliver to the moon?"}""",
            People = { ["person"] = new { decision = "answer", answer = new { text = "On Mondays." } } },
            Output = """{"answer":"On Mondays.","by":"person"}""",
            Asked = ["person developer answer"], Agents = 2, Steps = 6,
        },
        new("an urgent ticket until it is closed", "support-ticket")
        {
            Inputs = """{"message": "It burns!", "customer": "c-1"}""",
            People = { ["urgent"] = new { decision = "approve" } },
            Events = { ["closed"] = ("ticket.closed", new { by = "c-1" }) },
            Output = """{"ticket":{"id":"{run}","customer":"c-1","summary":"Something burns.","priority":"high"},"reply":"Hello there.","closed":"yes"}""",
            Effects = ["PUT /tickets/{run}"], Asked = ["urgent developer approve"], Agents = 3, Steps = 8,
        },
        new("a ticket that is called off", "support-ticket")
        {
            Inputs = """{"message": "It squeaks.", "customer": "c-1"}""",
            CancelAt = "closed", Status = "cancelled",
            Effects = ["PUT /tickets/{run}", "DELETE /tickets/{run}"], Agents = 3, Steps = 8, Undone = ["/open/undo_open"],
        },
        new("a colleague takes over", "escalation")
        {
            Inputs = """{"customer": "Ana", "messages": [{"from": "customer", "text": "Help!"}]}""",
            People = { ["takeover"] = new { decision = "answer", answer = new { reply = "I am here.", solved = true } } },
            Output = """{"reply":"I am here.","solved":true,"by":"key_alpha"}""",
            Asked = ["takeover developer answer"], Agents = 1, Steps = 4,
        },
        new("a colleague refuses", "escalation")
        {
            Inputs = """{"customer": "Ana", "reason": "angry", "messages": [{"from": "customer", "text": "Help!"}]}""",
            People = { ["takeover"] = new { decision = "reject", comment = "not ours" } },
            Status = "failed", Error = "workflow_failed",
            Asked = ["takeover developer reject"], Agents = 1, Steps = 4,
        },
        new("a large order that a person looks at", "order-processing")
        {
            Inputs = """{"order": "o-1", "customer": "Ana", "reviewAbove": 20, "lines": [{"sku": "a", "quantity": 2, "price": 10.5}, {"sku": "b", "quantity": 1, "price": 4}]}""",
            People = { ["approve"] = new { decision = "approve" } },
            Output = """{"order":"o-1","amount":25,"tracking":"T-1","message":"Hello there."}""",
            Effects = ["PUT /inventory/a/reservations/{run}-0", "PUT /inventory/b/reservations/{run}-1", "PUT /payments/{run}", "PUT /shipments/{run}"],
            Asked = ["approve admin approve"], Agents = 1, Steps = 11,
        },
        new("an order that cannot be shipped is undone", "order-processing")
        {
            Inputs = """{"order": "o-noship", "customer": "Ana", "lines": [{"sku": "a", "quantity": 2, "price": 10}, {"sku": "b", "quantity": 1, "price": 4}]}""",
            Status = "failed", Error = "tool_failed",
            Effects = ["PUT /inventory/a/reservations/{run}-0", "PUT /inventory/b/reservations/{run}-1", "PUT /payments/{run}", "PUT /payments/{run}/refund",
                "DELETE /inventory/b/reservations/{run}-1", "DELETE /inventory/a/reservations/{run}-0"],
            Steps = 12, Undone = ["/charge/refund", "/reserve/0/stock/release", "/reserve/1/stock/release"],
        },
        new("a late order", "order-tracking")
        {
            Inputs = """{"order": "o-late"}""",
            People = { ["look"] = new { decision = "approve" } },
            Output = """{"order":"o-late","status":"late","message":"Hello there."}""",
            Asked = ["look developer approve"], Agents = 1, Steps = 6,
        },
        new("an order that nobody knows", "order-tracking")
        {
            Inputs = """{"order": "o-unknown"}""",
            Output = """{"order":"o-unknown","status":"unknown","message":"Hello there."}""",
            Agents = 1, Steps = 4,
        },
        new("a late return, from the parcel to the money", "returns")
        {
            Inputs = """{"order": "o-old", "reason": "too small"}""",
            People = { ["late"] = new { decision = "approve" } },
            Events = { ["parcel"] = ("parcel.received", null), ["settled"] = ("refund.settled", null) },
            Output = """{"accepted":true,"amount":40,"refund":{"payment":"p-1","amount":40,"settled":"yes","message":"Hello there."},"message":"Hello there."}""",
            Effects = ["PUT /labels/{run}", "PUT /payments/p-1/refunds/{run}"], Asked = ["late admin approve"], Agents = 2, Steps = 12,
        },
        new("a return without a payment takes the label back", "returns")
        {
            Inputs = """{"order": "o-unpaid", "reason": "too small"}""",
            Events = { ["parcel"] = ("parcel.received", null) },
            Status = "failed", Error = "tool_failed",
            Effects = ["PUT /labels/{run}", "DELETE /labels/{run}"], Agents = 1, Steps = 8, Undone = ["/label/void_label"],
        },
        new("a person who is asked for an address", "lead-capture")
        {
            Inputs = """{"message": "I want a lamp"}""",
            Events = { ["reply"] = ("lead.replied", new { email = "ana@example.com" }) },
            Output = """{"stored":true,"email":"ana@example.com","name":"Ana","interest":"Hello there."}""",
            Effects = ["PUT /leads/ana@example.com"], Agents = 3, Steps = 9,
        },
        new("three leads", "lead-qualification")
        {
            Inputs = """{"product": "lamps", "leads": [{"email": "a@example.com", "message": "now, please"}, {"email": "b@example.com", "message": "perhaps"}, {"email": "c@example.com", "message": "no thanks"}]}""",
            People = { ["confirm"] = new { decision = "approve" } },
            Output = """{"hot":[{"email":"a@example.com","score":"hot"}],"warm":[{"email":"b@example.com","score":"warm"}],"cold":[{"email":"c@example.com","score":"cold"}],"confirmed":"approve"}""",
            Asked = ["confirm analyst approve"], Agents = 3, Steps = 12,
        },
        new("a large refund", "payment-refund")
        {
            Inputs = """{"payment": "p-1", "amount": 150, "reason": "broken"}""",
            People = { ["approve"] = new { decision = "approve" } },
            Events = { ["settled"] = ("refund.settled", null) },
            Output = """{"payment":"p-1","amount":150,"settled":"yes","message":"Hello there."}""",
            Effects = ["PUT /payments/p-1/refunds/{run}"], Asked = ["approve admin approve"], Agents = 1, Steps = 6,
        },
        new("a refund that is refused", "payment-refund")
        {
            Inputs = """{"payment": "p-1", "amount": 150}""",
            People = { ["approve"] = new { decision = "reject", comment = "no" } },
            Status = "failed", Error = "workflow_failed",
            Asked = ["approve admin reject"], Steps = 4,
        },
        new("a voucher", "complaint-handling")
        {
            Inputs = """{"complaint": "The lamp broke.", "customer": "Ana"}""",
            People = { ["approve"] = new { decision = "edit", answer = new { offer = "voucher", amount = 20 } } },
            Output = """{"offer":"voucher","letter":"Hello there."}""",
            Effects = ["PUT /vouchers/{run}", "PUT /letters/{run}"], Asked = ["approve developer edit"], Agents = 9, Steps = 9,
        },
        new("a voucher whose letter cannot be sent", "complaint-handling")
        {
            Inputs = """{"complaint": "The lamp broke.", "customer": "Nobody"}""",
            People = { ["approve"] = new { decision = "approve", answer = new { offer = "voucher", amount = 20 } } },
            Status = "failed", Error = "tool_failed",
            Effects = ["PUT /vouchers/{run}", "DELETE /vouchers/{run}"], Asked = ["approve developer approve"], Agents = 9, Steps = 10, Undone = ["/voucher/void_voucher"],
        },
        new("advice that helps, after a plan that had to be changed", "technical-support")
        {
            Inputs = """{"problem": "The lamp is dark", "customer": "Ana"}""",
            Events = { ["answer"] = ("customer.replied", new { solved = true, text = "It shines." }) },
            Output = """{"solved":true,"by":"agent","advice":"Pull the plug."}""",
            Agents = 6, Steps = 7,
        },
        new("three vain attempts bring a person", "technical-support")
        {
            Inputs = """{"problem": "The lamp is dark", "customer": "Ana"}""",
            Events = { ["answer"] = ("customer.replied", new { solved = false, text = "Still dark." }) },
            People = { ["takeover"] = new { decision = "answer", answer = new { reply = "I come by.", solved = true } } },
            Output = """{"solved":true,"by":"person","advice":"I come by."}""",
            Asked = ["takeover developer answer"], Agents = 9, Steps = 18,
        },
        new("a parcel, by majority", "web-chat-triage")
        {
            Inputs = """{"message": "Where is my parcel?", "visitor": "Ana", "order": "o-1"}""",
            Output = """{"intent":"ORDER","reply":"Hello there."}""",
            Agents = 4, Steps = 14,
        },
        new("nobody knows what is wanted", "web-chat-triage")
        {
            Inputs = """{"message": "A puzzling message", "visitor": "Ana"}""",
            Output = """{"intent":"unclear","reply":"Hello there."}""",
            Agents = 5, Steps = 9,
        },
        new("three agents one after the other", "sequential")
        {
            Inputs = """{"text": "Fire in the shop"}""",
            Output = """{"summary":"Something burns.","answer":"Hi!"}""",
            Agents = 3, Steps = 3,
        },
        new("four ways to bring answers together", "fan-out")
        {
            Inputs = """{"question": "Is it late?"}""",
            Output = """{"all":{"helper":"Hello there.","desk":"Hello there."},"first":"Hello there.","majority":"YES","merged":"Both are right."}""",
        },
        new("the desk gives the conversation away", "handoff")
        {
            Inputs = """{"message": "What is the time?"}""",
            Output = """{"answer":"Hello there."}""",
            Agents = 2, Steps = 1,
        },
        new("a manager leads", "group-chat")
        {
            Inputs = """{"topic": "Opening hours"}""",
            Output = """{"spoke":["support"],"minutes":"Nothing came of it."}""",
            Agents = 4, Steps = 2,
        },
        new("two argue, one decides", "debate")
        {
            Inputs = """{"question": "A voucher or a refund?"}""",
            Output = """{"verdict":"A voucher is fair."}""",
            Agents = 5, Steps = 1,
        },
        new("three texts", "map-reduce")
        {
            Inputs = """{"texts": ["a", "b", "c"]}""",
            Output = """{"digest":"All of it burns."}""",
            Agents = 4, Steps = 7,
        },
        new("a supervisor asks two", "supervisor")
        {
            Inputs = """{"request": "When may I come, and how do I greet?"}""",
            Output = """{"answer":"We open at nine. Hi!"}""",
            Agents = 1, Steps = 1,
        },
        new("two sides are noted", "blackboard")
        {
            Inputs = """{"question": "Should we open on Sundays?"}""",
            Output = """{"answer":"Both have a point.","notes":3,"weight":4}""",
            Agents = 3, Steps = 5,
        },
        new("a plan that is changed", "plan-and-execute")
        {
            Inputs = """{"goal": "Mend the lamp"}""",
            Output = """{"answer":"Try another cable."}""",
            Agents = 5, Steps = 1,
        },
    ];
}
